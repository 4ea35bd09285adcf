"""The pump: everybody in turn, nobody forgotten, nothing into a full buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.pump import FRAMES_A_TURN, Pump
from cosyd.wire.messages import Message
from tests.daemon.fakes import FakeClock
from tests.daemon.test_utterance import Stand


class Round:
    """A pump over utterances on stands, its loop turned by hand."""

    def __init__(self, lengths: list[int], **fields: Any) -> None:
        self.sent: list[Message] = []
        self.soon: list[Callable[[], None]] = []
        self.clock = FakeClock()
        self.pump = Pump(self.sent.append, self.clock, self.soon.append)
        self.stands = []
        for number, frames in enumerate(lengths):
            stand = Stand(**fields)
            stand.utterance.id = number
            stand.clock = self.clock
            stand.utterance._now = self.clock.now
            stand.owner.on_ended = self.pump.remove
            self.pump.add(stand.begin())
            stand.chunk(frames * 960)
            stand.done(frames * 960)
            self.stands.append(stand)

    def turn(self) -> None:
        """Let the loop run until it is idle."""
        while self.soon:
            self.soon.pop(0)()

    def order(self) -> list[int]:
        return [message["id"] for message in self.sent if message["type"] == "audio"]


@given(st.lists(st.integers(0, 80), min_size=1, max_size=20))
def test_all_finish_whatever_their_lengths(lengths: list[int]) -> None:
    """One that ends inside a round must not make the round pass over another."""
    there = Round(lengths)
    there.pump.wake()
    there.turn()
    assert [stand.utterance.outcome for stand in there.stands] == ["finished"] * len(lengths)
    assert sorted(there.order()) == sorted(
        n for n, frames in enumerate(lengths) for _ in range(frames)
    )


def test_in_turn() -> None:
    there = Round([3, 3, 3])
    there.pump.run()
    assert there.order() == [0, 1, 2] * 3


def test_others_get_the_loop_after_some_frames() -> None:
    there = Round([FRAMES_A_TURN * 2])
    there.pump.run()
    assert len(there.order()) == FRAMES_A_TURN and len(there.soon) == 1


def test_nothing_while_the_connection_is_full_and_all_of_it_after() -> None:
    there = Round([5])
    there.pump.writable = False
    there.pump.run()
    assert there.sent == []
    there.pump.writable = True
    there.pump.run()
    assert len(there.order()) == 5


def test_paused_one_holds_nobody_back() -> None:
    there = Round([5, 5])
    there.stands[0].utterance.pause()
    there.pump.run()
    assert there.order() == [1] * 5


def test_realtime_waits_for_its_clock() -> None:
    there = Round([15], pace="realtime")
    there.pump.run()
    assert len(there.order()) == 10
    there.clock.pass_s(10 * 0.02 + 0.001)
    there.turn()
    assert len(there.order()) == 15


def test_wakes_once_however_often_it_is_told() -> None:
    there = Round([1])
    for _ in range(3):
        there.pump.wake()
    assert len(there.soon) == 1
