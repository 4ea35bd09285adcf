"""A model's deaths in a row: how long it rests after each, and when it is not tried any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from cosyd.config import Config
from cosyd.daemon.clock import Clock, Timer

_DOUBLINGS_MAX: Final = 32
"""More would only make a float overflow; `backoff_max_s` has long been reached."""


class Crashes:
    """Counts deaths since the last utterance that came to its end, and times the rests.

    After `breaker_crashes` of them the breaker is open for `breaker_s`. Then there is a trial:
    the count stays, so that the next death opens it again at once and one success ends it all.
    """

    def __init__(
        self, clock: Clock, config: Callable[[], Config], on_rested: Callable[[], None]
    ) -> None:
        self.in_a_row = 0
        self.retry_at: float | None = None
        """When the rest is over; None while there is none."""
        self._clock = clock
        self._config = config
        self._on_rested = on_rested
        self._timer: Timer | None = None

    @property
    def too_many(self) -> bool:
        """Whether there were so many that the model is not trusted any more."""
        return 0 < self._config().breaker_crashes <= self.in_a_row

    @property
    def retry_in_s(self) -> float | None:
        """How long the rest still takes."""
        return None if self.retry_at is None else max(0.0, self.retry_at - self._clock.now())

    def died(self) -> Literal["rest", "break"]:
        """Count a death and begin to rest: a little, or with the breaker open."""
        self.in_a_row += 1
        config = self._config()
        doublings = min(self.in_a_row - 1, _DOUBLINGS_MAX)
        rest_s = min(config.backoff_s * 2.0**doublings, config.backoff_max_s)
        self._rest(config.breaker_s if self.too_many else rest_s)
        return "break" if self.too_many else "rest"

    def forgive(self) -> None:
        """An utterance came to its end: the engine works."""
        self.in_a_row = 0

    def stop_resting(self) -> None:
        """Somebody wants it tried now, or nobody wants it any more."""
        self.retry_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rest(self, seconds: float) -> None:
        self.stop_resting()
        self.retry_at = self._clock.now() + seconds
        self._timer = self._clock.call_later(seconds, self._rested)

    def _rested(self) -> None:
        self.stop_resting()
        self._on_rested()
