"""Parameters, gradients and optimizer state divided over the ranks (FSDP2)."""

from __future__ import annotations

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from lightformer.backbone import Backbone


def shard(backbone: Backbone, heads: list[nn.Module], mesh: DeviceMesh) -> None:
    """Divides a model's parameters over a mesh: each block, the rest of the backbone, and each head.

    A module that is left out would train on each rank by itself, unnoticed. What the backbone holds beside its blocks
    stays whole between forward and backward, so that a head may share the matrix of the embedding.

    Args:
        backbone: of the model
        heads: all other modules of the model that have parameters
        mesh: one dimension of ranks
    """
    for layer in dict.fromkeys(backbone.layers()):
        fully_shard(layer, mesh=mesh)
    fully_shard(backbone, mesh=mesh, reshard_after_forward=False)
    for head in heads:
        fully_shard(head, mesh=mesh)
