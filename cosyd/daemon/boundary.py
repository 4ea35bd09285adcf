"""The daemon's one boundary: whatever a message causes becomes an error of the contract."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from cosyd.errors import BadRequest, CosydError, Internal
from cosyd.logs import bug_facts, event
from cosyd.wire.fields import FieldError

_LOG: Final = logging.getLogger("cosyd.daemon")
T = TypeVar("T")


def attempt(action: Callable[[], T]) -> T | CosydError:
    """What `action` returns, or why it failed; bugs are logged."""
    try:
        return action()
    except FieldError as error:
        return BadRequest(str(error))
    except CosydError as error:
        return error
    except Exception as error:  # noqa: BLE001 - nothing that a client sends may end the daemon
        event(_LOG, "bug", level=logging.ERROR, **bug_facts(error))
        return Internal("that failed in the daemon: its log (cosy daemon logs) has the trace")
