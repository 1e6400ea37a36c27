"""RoBERTa (Liu et al., 2019, arXiv:1907.11692): BERT whose positions count on from the id of padding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lightformer.backbone_config import BackboneConfig
from lightformer.hf.families import bert
from lightformer.hf.family import Family, Head
from lightformer.hf.settings import Settings

LM_HEAD = """
lm_head.dense.*         head.dense.*
lm_head.layer_norm.*    head.norm.*
lm_head.bias            head.bias
lm_head.decoder.weight  head.decoder.weight  untied
lm_head.decoder.bias    head.bias            untied
"""
CLASSIFIER = """
classifier.dense.*     pooler.dense.*
classifier.out_proj.*  classifier.*
"""


def backbone(settings: Settings) -> BackboneConfig:
    return bert.backbone(settings, offset=settings.whole("pad_token_id", least=-1) + 1)


def settings(config: BackboneConfig) -> dict[str, Any]:
    return {
        **bert.settings(config),
        "pad_token_id": config.position.options().get("offset", 0) - 1,
    }


FAMILY = Family(
    model_type="roberta",
    prefix="roberta.",
    names=bert.NAMES,
    heads={
        "RobertaModel": Head(
            "Encoder",
            "roberta.pooler.dense.*  pooler.dense.*",
            lambda _: {"pooling": "first", "pooler": True},
        ),
        "RobertaForMaskedLM": Head(
            "MaskedLM",
            LM_HEAD,
            lambda settings: {
                "tied": settings.flag("tie_word_embeddings"),
                "head_activation": "gelu",
            },
            bert.lm_settings,
        ),
        "RobertaForSequenceClassification": Head(
            "SequenceClassification",
            CLASSIFIER,
            bert.classifier_options,
            bert.classifier_settings,
        ),
    },
    defaults={**bert.DEFAULTS, "pad_token_id": 1},
    backbone=backbone,
    settings=settings,
    ignored=("*position_ids",),
)

XLM_FAMILY = replace(
    FAMILY,
    model_type="xlm-roberta",
    heads={name.replace("Roberta", "XLMRoberta"): head for name, head in FAMILY.heads.items()},
)
"""The same model, trained on a hundred languages."""
