"""Time as the daemon sees it; tests hand in their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Let it not come."""


class Clock(Protocol):
    """Now, and later."""

    def now(self) -> float:
        """Monotonic seconds."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Run `action` once, `delay_s` from now."""


class LoopClock:
    """The event loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """Monotonic seconds, read afresh: the loop's own time stands still within a turn."""
        return time.monotonic()

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Run `action` once, `delay_s` from now."""
        return self._loop.call_later(delay_s, action)
