"""What is made once in a forward."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from lightformer import position
from lightformer.memo import Made, once
from tests.variants import backbone, close, tokens


def test_it_is_made_once_for_equal_keys() -> None:
    made: Made[list[int] | None] = []
    first = once(made, (3, 5), lambda: [7])
    assert once(made, (3, 5), lambda: [11]) is first
    assert once(made, (5, 3), lambda: [11]) == [11]
    assert once(made, "none", lambda: None) is None
    assert once(made, "none", lambda: [13]) is None


@pytest.mark.parametrize("spec", [position.learned(), position.alibi()], ids=["mask", "bias"])
def test_a_compiled_model_is_compiled_anew_for_one_new_length_and_not_for_each(
    spec: position.PositionSpec,
) -> None:
    torch.compiler.reset()
    counter, net = CompileCounter(), backbone(position=spec)
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    for length in (7, 9, 11, 13, 17):
        ids = tokens(3, length)
        is_token = torch.arange(length).expand(3, -1) < length - 2
        close(compiled(ids, attention_mask=is_token), net(ids, attention_mask=is_token))
    assert counter.frame_count == 2
