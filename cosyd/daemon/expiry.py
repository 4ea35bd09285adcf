"""When a model that nobody uses goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cosyd.daemon.clock import Clock, Timer

FOREVER_S: Final = 1e8
"""A keep_alive beyond three years is no timer worth arming."""


class Expiry:
    """The timer of an idle model. Disarmed while it is in use or loading."""

    def __init__(self, clock: Clock, on_expired: Callable[[], None]) -> None:
        self.idle_since: float | None = None
        """Since when nobody uses it; None while somebody does or it is not resident."""
        self.expires_at: float | None = None
        self._clock = clock
        self._on_expired = on_expired
        self._timer: Timer | None = None

    def arm(self, keep_alive_s: float, since: float | None = None) -> None:
        """It has been idle `since` (now) and goes `keep_alive_s` later; below 0: never."""
        self.disarm()
        now = self._clock.now()
        self.idle_since = now if since is None else since
        if 0 <= keep_alive_s < FOREVER_S:
            self.expires_at = max(now, self.idle_since + keep_alive_s)
            self._timer = self._clock.call_later(self.expires_at - now, self._on_expired)

    def disarm(self) -> None:
        """It is in use."""
        self.idle_since = self.expires_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
