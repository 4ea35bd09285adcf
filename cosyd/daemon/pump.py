"""Sends the utterances' audio, each in its turn, as far as the connection takes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from cosyd.daemon.boundary import attempt
from cosyd.daemon.clock import Clock, Timer
from cosyd.daemon.utterance import Utterance
from cosyd.errors import CosydError
from cosyd.wire.messages import Message

FRAMES_A_TURN: Final = 32
"""Frames sent before other connections get the loop."""
RESOLUTION_S: Final = 0.001
"""Of the loop's timers: waiting for less would only spin."""


class Pump:
    """The sending half of a session."""

    def __init__(
        self,
        send: Callable[[Message], None],
        clock: Clock,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.writable = True
        """Whether the connection takes more."""
        self._send = send
        self._clock = clock
        self._call_soon = call_soon
        self._turns: deque[Utterance] = deque()
        self._awake = False
        self._timer: Timer | None = None

    def add(self, utterance: Utterance) -> None:
        """Give it turns."""
        self._turns.append(utterance)

    def remove(self, utterance: Utterance) -> None:
        """It has ended."""
        self._turns.remove(utterance)

    def wake(self) -> None:
        """There may be something to send."""
        if not self._awake:
            self._awake = True
            self._call_soon(self.run)

    def stop(self) -> None:
        """The connection is gone."""
        self.writable = False
        if self._timer is not None:
            self._timer.cancel()

    def run(self) -> None:
        """Send until the buffer is full, nothing is left, or others should have the loop."""
        self._awake = False
        waits: list[float] = []
        idle = frames = 0
        while self.writable and idle < len(self._turns):
            if frames >= FRAMES_A_TURN:
                self.wake()
                return
            utterance = self._turns[0]
            self._turns.rotate(-1)
            pulled = attempt(utterance.pull)
            if isinstance(pulled, list):
                idle, frames = 0, frames + 1
                for message in pulled:
                    self._send(message)
            else:
                self._note(utterance, pulled, waits)
                # One that has ended is out of the round: the others are still to be asked.
                idle += utterance in self._turns
        if waits and self.writable:
            self._wake_in(min(waits))

    def _note(
        self, utterance: Utterance, pulled: CosydError | float | None, waits: list[float]
    ) -> None:
        if isinstance(pulled, CosydError):
            utterance.fail(pulled)
        elif pulled is not None:
            waits.append(pulled)

    def _wake_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(max(delay_s, RESOLUTION_S), self.run)
