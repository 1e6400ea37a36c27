"""ALBERT (Lan et al., 2019, arXiv:1909.11942): BERT whose layers share weights, behind narrow embeddings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lightformer.backbone_config import BackboneConfig
from lightformer.hf.families import bert
from lightformer.hf.family import Family, Head
from lightformer.hf.settings import Settings

NAMES = """
embeddings.word_embeddings.weight        embeddings.token.weight
embeddings.position_embeddings.weight    positions.0.embedding.weight
embeddings.token_type_embeddings.weight  embeddings.segment.weight
embeddings.LayerNorm.*                   embeddings.norm.*
encoder.embedding_hidden_mapping_in.*    embeddings.projection.*  widens
encoder.albert_layer_groups.{}.albert_layers.0.attention.query.*      blocks.{}.attention.query.*
encoder.albert_layer_groups.{}.albert_layers.0.attention.key.*        blocks.{}.attention.key.*
encoder.albert_layer_groups.{}.albert_layers.0.attention.value.*      blocks.{}.attention.value.*
encoder.albert_layer_groups.{}.albert_layers.0.attention.dense.*      blocks.{}.attention.output.*
encoder.albert_layer_groups.{}.albert_layers.0.attention.LayerNorm.*  blocks.{}.attention_norm.*
encoder.albert_layer_groups.{}.albert_layers.0.ffn.*                  blocks.{}.feedforward.input.*
encoder.albert_layer_groups.{}.albert_layers.0.ffn_output.*           blocks.{}.feedforward.output.*
encoder.albert_layer_groups.{}.albert_layers.0.full_layer_layer_norm.*  blocks.{}.feedforward_norm.*
"""
POOLER = "albert.pooler.*  pooler.dense.*"
LM_HEAD = """
predictions.dense.*         head.dense.*
predictions.LayerNorm.*     head.norm.*
predictions.bias            head.bias
predictions.decoder.weight  head.decoder.weight  untied
predictions.decoder.bias    head.bias            untied
"""


def backbone(settings: Settings) -> BackboneConfig:
    settings.only(inner_group_num=1)
    return replace(
        bert.backbone(settings),
        embedding_size=settings.whole("embedding_size"),
        num_layer_groups=settings.whole("num_hidden_groups"),
    )


def settings(config: BackboneConfig) -> dict[str, Any]:
    return {
        **bert.settings(config),
        "embedding_size": config.embedding_size or config.hidden_size,
        "num_hidden_groups": config.num_layer_groups or config.num_layers,
    }


def _classifier_options(settings: Settings) -> dict[str, Any]:
    dropout = settings.share("classifier_dropout_prob")
    return {"pooling": "first", "pooler": True, "classifier_dropout": dropout}


FAMILY = Family(
    model_type="albert",
    prefix="albert.",
    names=NAMES,
    heads={
        "AlbertModel": Head("Encoder", POOLER, lambda _: {"pooling": "first", "pooler": True}),
        "AlbertForMaskedLM": Head("MaskedLM", LM_HEAD, bert.lm_options, bert.lm_settings),
        "AlbertForPreTraining": Head(
            "BertPretraining",
            LM_HEAD + POOLER + "\nsop_classifier.classifier.*  next_sentence_head.*",
            lambda settings: {**bert.lm_options(settings), "pooling": "first"},
            bert.lm_settings,
        ),
        "AlbertForSequenceClassification": Head(
            "SequenceClassification",
            POOLER + "\nclassifier.*  classifier.*",
            _classifier_options,
            lambda options: {"classifier_dropout_prob": options["classifier_dropout"]},
        ),
    },
    defaults={
        **bert.DEFAULTS,
        "embedding_size": 128,
        "hidden_size": 4096,
        "intermediate_size": 16384,
        "num_hidden_layers": 12,
        "num_attention_heads": 64,
        "num_hidden_groups": 1,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.1,
    },
    backbone=backbone,
    settings=settings,
    ignored=("*position_ids",),
)
