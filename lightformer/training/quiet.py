"""Leaves out what Lightning says that no user can act on."""

from __future__ import annotations

import logging
import warnings

_MESSAGES = ("💡 Tip", "`weights_only` was not set", "TPU available")
_LOGGERS = ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero")


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_MESSAGES)


def quieten() -> None:
    """Silences advertisements, and warnings of Lightning about its own code."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_Filter())
    warnings.filterwarnings("ignore", module=r"lightning\.pytorch\.utilities\._pytree")
    # the loaders here are no DataLoaders, and their number of workers is an option of the data
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
