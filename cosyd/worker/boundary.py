"""The worker's one boundary: whatever an engine raises becomes an error of the contract."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from cosyd.audio.chain import NotFinite
from cosyd.engines.base import Interrupted
from cosyd.errors import CosydError, Internal, OutOfMemory
from cosyd.logs import bug_facts, event

_LOG: Final = logging.getLogger("cosyd.worker")
T = TypeVar("T")


def attempt(action: Callable[[], T]) -> T | CosydError:
    """What `action` returns, or why it failed. Only `Interrupted` passes through."""
    try:
        return action()
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001 - no fault of an engine may end the worker
        return _as_cosyd_error(error)


def _as_cosyd_error(error: Exception) -> CosydError:
    if isinstance(error, CosydError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory("no memory left for this: close something big and try again")
    event(_LOG, "bug", level=logging.ERROR, **bug_facts(error))
    if isinstance(error, NotFinite):
        return Internal("the model made sound that is no sound: report this voice and text")
    return Internal(f"the engine failed ({type(error).__name__}): the log has the trace")
