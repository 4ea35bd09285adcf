"""Watching one worker: does it come round between steps, does it halt what was cancelled?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cosyd.config import Config
from cosyd.daemon.clock import Clock, Timer

PATIENCE: Final = 10
"""How many times longer a cancelled step may take if others speak with the same worker."""


class Watch:
    """Probes a worker while it has streams and says when it hangs or does not halt.

    A worker answers between two steps, so an engine counts as hung when one step takes longer
    than `engine_timeout_s`, whatever the other reports of that time are.

    `on_not_halting` says whether it replaces the worker at once. `halt_s` is the engine's own
    bound on what it cannot interrupt, where that is longer than the configured time.
    """

    def __init__(
        self,
        clock: Clock,
        config: Callable[[], Config],
        probe: Callable[[], None],
        on_hung: Callable[[], None],
        on_not_halting: Callable[[], bool],
        halt_s: float = 0.0,
    ) -> None:
        self._clock = clock
        self._config = config
        self._probe = probe
        self._on_hung = on_hung
        self._on_not_halting = on_not_halting
        self._halt_s = halt_s
        self._open_streams = 0
        self._halting: dict[int, Timer] = {}
        self._heard = False
        self._round: Timer | None = None

    @property
    def open_streams(self) -> int:
        """Streams the worker has; probing goes on while there are any."""
        return self._open_streams

    @open_streams.setter
    def open_streams(self, value: int) -> None:
        self._open_streams = value
        if value and self._round is None:
            self._begin_round()

    @property
    def halting(self) -> bool:
        """Whether a cancelled stream may still be computing."""
        return bool(self._halting)

    def heard(self) -> None:
        """The worker said something."""
        self._heard = True

    def cancelled(self, stream: int) -> None:
        """A cancel went out: `halted` must follow."""
        timer = self._clock.call_later(self._halt_timeout_s, lambda: self._late(stream))
        self._halting[stream] = timer

    def halted(self, stream: int) -> None:
        """It did."""
        if (timer := self._halting.pop(stream, None)) is not None:
            timer.cancel()

    def stop(self) -> None:
        """The worker is gone."""
        for timer in self._halting.values():
            timer.cancel()
        self._halting.clear()
        self._open_streams = 0
        if self._round is not None:
            self._round.cancel()
            self._round = None

    @property
    def _halt_timeout_s(self) -> float:
        return max(self._config().halt_timeout_s, self._halt_s)

    def _begin_round(self) -> None:
        self._heard = False
        self._probe()
        self._round = self._clock.call_later(self._config().engine_timeout_s, self._end_round)

    def _end_round(self) -> None:
        self._round = None
        if self._open_streams and not self._heard:
            self._on_hung()
        elif self._open_streams:
            self._begin_round()

    def _late(self, stream: int) -> None:
        """It does not halt. If that may wait for others' sake, wait some more, not for ever."""
        if not self._on_not_halting():
            timeout_s = self._halt_timeout_s * PATIENCE
            self._halting[stream] = self._clock.call_later(timeout_s, self._on_hung)
