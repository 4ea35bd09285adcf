"""What is confirmed, and when, while a step runs: the loop with an engine that waits for us."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

from cosyd.engines.base import Chunk, EngineStream, Request, Span
from cosyd.link.orders import check_report, decoder, pack
from cosyd.worker.loop import Worker

VOICE = Path(__file__).parents[1] / "voicepacks" / "tone" / "tone"
GUARD_S = 20.0


class Stream:
    """Has one chunk, then ends. Cannot be interrupted."""

    ready = True

    def __init__(self) -> None:
        self.text = ""
        self.left = 1

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        del final, flush  # it is all there is
        self.text += text

    def interrupt(self) -> bool:
        """Goes on."""
        return True

    def close(self) -> None:
        """Holds nothing."""


class Engine:
    """Tells which text's step it begins, and waits until it may go on."""

    sample_rate = 24_000
    device = "cpu"
    batch = 1

    def __init__(self) -> None:
        self.stepping: SimpleQueue[str] = SimpleQueue()
        self.may_end = threading.Semaphore(0)

    def warm_up(self) -> None:
        """Nothing to do."""

    def open(self, request: Request) -> EngineStream:
        del request  # all speak alike
        return Stream()

    def step(self, streams: Sequence[EngineStream]) -> Sequence[Chunk | None]:
        (stream,) = streams
        assert isinstance(stream, Stream)
        self.stepping.put(stream.text)
        assert self.may_end.acquire(timeout=GUARD_S)
        stream.left -= 1
        return [Chunk(np.zeros(2400, np.float32), Span(0, 1)) if stream.left >= 0 else None]


class Rig:
    """A worker in a thread and the daemon's end of its link."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(GUARD_S)
        self._incoming = decoder()
        self.left = threading.Event()
        worker = Worker(self.engine, theirs, leave=lambda _status: self.left.set())
        threading.Thread(target=worker.run, daemon=True).start()

    def order(self, kind: str, **fields: Any) -> None:
        self.sock.sendall(pack(kind, **fields))

    def speak(self, stream: int, text: str) -> None:
        fields = {"voice": str(VOICE), "final": True, "speed": 1.0, "volume": 1.0}
        audio = {"sample_rate": 24_000, "encoding": "s16le", "loudness": None}
        self.order(
            "speak", stream=stream, text=text, priority=0, credit_samples=10**6, **fields, **audio
        )

    def stepping(self) -> str:
        """The text whose step has begun."""
        return self.engine.stepping.get(timeout=GUARD_S)

    def until(self, kind: str) -> dict[str, Any]:
        while True:
            while (message := self._incoming.next_message()) is None:
                self._incoming.feed(self.sock.recv(65_536))
            if message["type"] == kind:
                return check_report(message)

    def settle(self) -> None:
        """Wait until the orders so far are with the worker: the first stream has ended."""
        self.order("cancel", stream=1)
        assert self.until("halted")["stream"] == 1


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Its first stream has ended already."""
    made = Rig()
    made.engine.may_end.release(2)
    made.speak(1, "hello")
    assert made.until("done")["stream"] == 1
    assert made.stepping() == made.stepping() == "hello"
    yield made
    made.engine.may_end.release(8)  # no thread is left waiting
    made.sock.close()
    assert made.left.wait(GUARD_S)


def test_a_cancel_need_not_wait_for_another_streams_step(rig: Rig) -> None:
    rig.speak(2, "two")
    assert rig.stepping() == "two"
    rig.speak(3, "three")
    rig.settle()
    rig.engine.may_end.release()
    assert rig.stepping() == "three"  # it has no sound yet
    rig.order("cancel", stream=2)
    assert rig.until("halted")["stream"] == 2  # while the step runs that nobody has let go on
    rig.engine.may_end.release(2)
    assert rig.until("done")["stream"] == 3


def test_a_cancel_of_what_was_all_said_need_not_wait_either(rig: Rig) -> None:
    rig.speak(2, "two")
    assert rig.stepping() == "two"
    rig.order("cancel", stream=1)
    assert rig.until("halted")["stream"] == 1


def test_a_cancel_of_what_computes_waits_until_it_does_no_more(rig: Rig) -> None:
    rig.speak(2, "two")
    assert rig.stepping() == "two"
    rig.order("cancel", stream=2)
    rig.settle()  # and no `halted` of 2 came before
    rig.engine.may_end.release()
    assert rig.until("halted")["stream"] == 2


def test_what_was_cancelled_before_it_began_never_computes(rig: Rig) -> None:
    rig.speak(2, "two")
    assert rig.stepping() == "two"
    rig.speak(3, "three")
    rig.order("cancel", stream=3)
    assert rig.until("halted")["stream"] == 3  # while the step runs that nobody has let go on
    rig.speak(4, "four")
    rig.settle()
    rig.engine.may_end.release(4)
    assert {rig.stepping() for _ in range(3)} == {"two", "four"}
