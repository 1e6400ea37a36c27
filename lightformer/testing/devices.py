"""Whether a part makes its tensors where it is given some, found out without a second device."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from lightformer.testing.promise import DoesNotApply, Figure, truth

ELSEWHERE = torch.device("meta")


def follows(run: Callable[[], Mapping[str, Tensor]]) -> Figure:
    """Whether all that comes out of a function is elsewhere, and no tensor of the CPU gets in its way.

    Args:
        run: works on tensors of the device ELSEWHERE, which hold no numbers

    Raises:
        DoesNotApply: it looks at numbers.
    """
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            found = run()
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise DoesNotApply("it looks at values of tensors") from error
    except RuntimeError as error:
        if "same device" not in str(error):
            raise
        frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_of_a_part(f.filename)]
        return truth(
            False, f"a tensor of the CPU in {Path(frames[-1].filename).name}:{frames[-1].lineno}"
        )
    stayed = [name for name, tensor in found.items() if tensor.device != ELSEWHERE]
    return truth(
        not stayed, f"on the CPU: {', '.join(stayed)}" if stayed else "as far as a CPU tells"
    )


def _is_of_a_part(file: str) -> bool:
    return not file.startswith(str(Path(torch.__file__).parent))
