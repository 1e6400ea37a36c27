"""Tables of tensors: from their names to ours, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

State = Mapping[str, Tensor]

_SAID = {"turned", "untied", "maybe", "widens"}


@dataclass(frozen=True)
class Pair:
    """One tensor of theirs, which is one or several of ours.

    Args:
        theirs: its name
        ours: the names of what it holds, one after another along the first dimension
        turned: whether theirs is (in, out), where ours is (out, in)
        maybe: whether not every model has it
        widens: whether it leads from the width of the embeddings to that of the hidden states
    """

    theirs: str
    ours: tuple[str, ...]
    turned: bool = False
    maybe: bool = False
    widens: bool = False

    @property
    def needed(self) -> bool:
        """Whether there is no such model without it. Which biases there are, its settings say."""
        return not (self.maybe or self.theirs.endswith("bias"))

    def read(self, tensor: Tensor) -> dict[str, Tensor]:
        """Returns theirs as ours. Of several all are equally long, or else their sizes would be a part of the table."""
        straight = tensor.T if self.turned and tensor.ndim == 2 else tensor
        parts = straight.chunk(len(self.ours)) if len(self.ours) > 1 else (straight,)
        return {name: part.contiguous() for name, part in zip(self.ours, parts, strict=True)}

    def write(self, state: State) -> Tensor:
        """Returns ours as theirs."""
        parts = [state[name] for name in self.ours]
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        return (whole.T if self.turned and whole.ndim == 2 else whole).contiguous()


def pairs(table: str, num_blocks: int, tied: bool = False) -> Iterator[Pair]:
    """Yields every tensor that a table may mean; see `Family`.

    Args:
        table: a line for each
        num_blocks: number of blocks with weights of their own
        tied: whether the head has the matrix of the embedding; then lines with `untied` say nothing
    """
    for line in table.strip().splitlines():
        words = [word for word in line.split() if word != "+"]
        said = _SAID & {*words}
        theirs, *ours = [word for word in words if word not in said]
        if tied and "untied" in said:
            continue
        flags = dict.fromkeys(said - {"untied"}, True)
        for number in range(num_blocks) if "{}" in theirs else [0]:
            for suffix in ("weight", "bias") if theirs.endswith("*") else [""]:

                def fill(name: str, number: int = number, suffix: str = suffix) -> str:
                    return name.replace("{}", str(number)).replace("*", suffix)

                yield Pair(fill(theirs), tuple(map(fill, ours)), **flags)


def identity(pair: Pair, width: int, like: Tensor) -> Tensor:
    """Returns what a tensor that `widens` is where there is nothing to widen: it changes nothing.

    Args:
        pair: says which it is
        width: of the embeddings, and of the hidden states
        like: has the type of numbers
    """
    whole = torch.eye(width) if pair.theirs.endswith("weight") else torch.zeros(width)
    return whole.to(like.dtype)
