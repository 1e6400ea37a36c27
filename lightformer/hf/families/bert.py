"""BERT (Devlin et al., 2018, arXiv:1810.04805)."""

from __future__ import annotations

from typing import Any

from lightformer import attention, block, feedforward, norm, position
from lightformer.backbone_config import BackboneConfig
from lightformer.errors import CheckpointError
from lightformer.hf.family import Family, Head
from lightformer.hf.settings import MOST_LAYERS, THEIR_ACTIVATIONS, Settings, activation

NAMES = """
embeddings.word_embeddings.weight         embeddings.token.weight
embeddings.position_embeddings.weight     positions.0.embedding.weight
embeddings.token_type_embeddings.weight   embeddings.segment.weight
embeddings.LayerNorm.*                    embeddings.norm.*
encoder.layer.{}.attention.self.query.*   blocks.{}.attention.query.*
encoder.layer.{}.attention.self.key.*     blocks.{}.attention.key.*
encoder.layer.{}.attention.self.value.*   blocks.{}.attention.value.*
encoder.layer.{}.attention.output.dense.* blocks.{}.attention.output.*
encoder.layer.{}.attention.output.LayerNorm.*  blocks.{}.attention_norm.*
encoder.layer.{}.intermediate.dense.*     blocks.{}.feedforward.input.*
encoder.layer.{}.output.dense.*           blocks.{}.feedforward.output.*
encoder.layer.{}.output.LayerNorm.*       blocks.{}.feedforward_norm.*
"""
POOLER = "bert.pooler.dense.*  pooler.dense.*"
LM_HEAD = """
cls.predictions.transform.dense.*      head.dense.*
cls.predictions.transform.LayerNorm.*  head.norm.*
cls.predictions.bias                   head.bias
cls.predictions.decoder.weight  head.decoder.weight  untied
cls.predictions.decoder.bias    head.bias            untied
"""
NEXT_SENTENCE = "cls.seq_relationship.*  next_sentence_head.*"

DEFAULTS = {
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "tie_word_embeddings": True,
    "is_decoder": False,
}


def backbone(settings: Settings, *, offset: int = 0) -> BackboneConfig:
    """Returns our settings; `offset` is the number of position vectors before the first that is used."""
    settings.only(position_embedding_type="absolute", is_decoder=False, add_cross_attention=False)
    if settings["type_vocab_size"] == 0:
        raise CheckpointError(
            f"{settings.where} has type_vocab_size 0, but each token of such a model has a "
            "type: type_vocab_size (num_segments in lightformer) must be at least 1."
        )
    return BackboneConfig(
        hidden_size=settings.whole("hidden_size"),
        num_layers=settings.whole("num_hidden_layers", most=MOST_LAYERS),
        num_heads=settings.whole("num_attention_heads"),
        intermediate_size=settings.whole("intermediate_size"),
        max_seq_len=settings.whole("max_position_embeddings") - offset,
        num_segments=settings.whole("type_vocab_size"),
        is_causal=False,
        dropout=settings.share("hidden_dropout_prob"),
        norm_embeddings=True,
        attention=attention.mha(dropout=settings.share("attention_probs_dropout_prob")),
        position=position.learned(offset=offset),
        feedforward=feedforward.mlp(activation=activation(settings, "hidden_act")),
        norm=norm.layer_norm(eps=settings.number("layer_norm_eps")),
        block=block.post_norm(),
    )


def settings(config: BackboneConfig) -> dict[str, Any]:
    """Returns their settings."""
    sizes, own = config.dimensions(), config.position.options()
    return {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": sizes.intermediate_size,
        "max_position_embeddings": config.max_seq_len + own.get("offset", 0),
        "type_vocab_size": config.num_segments,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention.options().get("dropout", 0.0),
        "hidden_act": THEIR_ACTIVATIONS[config.feedforward.options().get("activation", "gelu")],
        "layer_norm_eps": config.norm.options().get("eps", 1e-12),
        "is_decoder": False,
    }


def lm_options(settings: Settings) -> dict[str, Any]:
    tied = settings.flag("tie_word_embeddings")
    return {"tied": tied, "head_activation": activation(settings, "hidden_act")}


def lm_settings(options: dict[str, Any]) -> dict[str, Any]:
    return {"tie_word_embeddings": options["tied"]}


def classifier_options(settings: Settings) -> dict[str, Any]:
    dropout = settings.share("classifier_dropout", settings.share("hidden_dropout_prob"))
    return {"pooling": "first", "pooler": True, "classifier_dropout": dropout}


def classifier_settings(options: dict[str, Any]) -> dict[str, Any]:
    return {"classifier_dropout": options["classifier_dropout"]}


FAMILY = Family(
    model_type="bert",
    prefix="bert.",
    names=NAMES,
    heads={
        "BertModel": Head("Encoder", POOLER, lambda _: {"pooling": "first", "pooler": True}),
        "BertForMaskedLM": Head("MaskedLM", LM_HEAD, lm_options, lm_settings),
        "BertForPreTraining": Head(
            "BertPretraining",
            LM_HEAD + POOLER + "\n" + NEXT_SENTENCE,
            lambda settings: {**lm_options(settings), "pooling": "first"},
            lm_settings,
        ),
        "BertForNextSentencePrediction": Head(
            "NextSentencePrediction",
            POOLER + "\n" + NEXT_SENTENCE,
            lambda _: {"pooling": "first"},
        ),
        "BertForSequenceClassification": Head(
            "SequenceClassification",
            POOLER + "\nclassifier.*  classifier.*",
            classifier_options,
            classifier_settings,
        ),
    },
    defaults=DEFAULTS,
    backbone=backbone,
    settings=settings,
    ignored=("*position_ids",),
)
