"""What holds for every test."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same draws in every test, whichever run before it."""
    torch.manual_seed(0)
