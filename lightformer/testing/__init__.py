"""The promises of each kind of part, and what comes of trying them on yours.

    from lightformer import attention, testing

    def test_my_attention() -> None:
        testing.check(attention.my_attention(window=3)).assert_held()

`lightformer plugins check attention my_attention` prints the same as a table.
"""

from lightformer.testing.check import Report, check, promises
from lightformer.testing.probe import ProbeResult, probe
from lightformer.testing.promise import (
    ABSENT,
    BROKEN,
    HELD,
    OPEN,
    REFUSED,
    DoesNotApply,
    Figure,
    Promise,
    Result,
    promise,
)
from lightformer.testing.sizes import Sizes

__all__ = [
    "ABSENT",
    "BROKEN",
    "HELD",
    "OPEN",
    "REFUSED",
    "DoesNotApply",
    "Figure",
    "ProbeResult",
    "Promise",
    "Report",
    "Result",
    "Sizes",
    "check",
    "probe",
    "promise",
    "promises",
]
