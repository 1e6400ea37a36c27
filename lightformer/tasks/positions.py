"""The positions of a batch, where it does not leave them to the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightformer.backbone_config import BackboneConfig
from lightformer.vocabulary import Vocabulary


def positions(
    batch: Mapping[str, Any], config: BackboneConfig, vocabulary: Vocabulary
) -> Tensor | None:
    """Returns the positions that a batch tells, or those of a model with a vector for that of padding (RoBERTa).

    Such a model does not count padding, even where nothing but its id says which tokens are padding.

    Args:
        batch: with input_ids, (batch, seq)
        config: of the backbone
        vocabulary: knows the id of padding
    """
    told = {"attention_mask", "position_ids", "document_ids"} & batch.keys()
    if told or not config.position.options().get("offset"):
        return batch.get("position_ids")
    is_token: Tensor = batch["input_ids"] != vocabulary.pad_id
    return is_token.cumsum(dim=1) * is_token - 1  # -1 is the place just before the first
