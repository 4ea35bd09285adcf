"""A clock, workers and owners that tests drive by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from cosyd.config import Config
from cosyd.daemon.model import Model
from cosyd.daemon.utterance import Utterance
from cosyd.engines.base import Descriptor
from cosyd.link.host import Listener
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import Message, check_client

ENGINE = Descriptor("fake", "nowhere:load", (), "", ("streaming",), 2, "Apache-2.0")
VOICE = Voicepack("fay", "fake", "fake-1", Path("/fay"), "", ("en",), ("streaming",), 24000, "")


class FakeTimer:
    """A call on the fake clock."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.time = 100.0
        self._due: list[tuple[float, int, FakeTimer, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> float:
        return self.time

    def call_later(self, delay_s: float, action: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._due, (self.time + delay_s, next(self._order), timer, action))
        return timer

    def pass_s(self, seconds: float) -> None:
        """Let time pass and run what comes due, in order."""
        end = self.time + seconds
        while self._due and self._due[0][0] <= end:
            self.time, _, timer, action = heapq.heappop(self._due)
            if not timer.cancelled:
                action()
        self.time = end


class FakeWorker:
    """A worker that does what the test says."""

    def __init__(self, listener: Listener) -> None:
        self.pid = 4711
        self.orders: list[dict[str, Any]] = []
        self.closed = self.killed = False
        self._listener = listener

    def order(self, kind: str, **fields: Any) -> None:
        self.orders.append({"type": kind, **fields})

    def close(self) -> None:
        self.closed = True

    def kill(self) -> None:
        self.killed = True

    def kinds(self) -> list[str]:
        """Types of the orders so far."""
        return [order["type"] for order in self.orders]

    def last(self, kind: str) -> dict[str, Any]:
        """The latest order of a type."""
        return [order for order in self.orders if order["type"] == kind][-1]

    def report(self, kind: str, **fields: Any) -> None:
        """Say something to the daemon."""
        self._listener.on_report({"type": kind, **fields})

    def ready(self) -> None:
        """The model is loaded."""
        self.report("ready", load_ms=1.0, device="cpu", rss_bytes=1, vram_bytes=None)

    def gone(self) -> None:
        """The process has ended."""
        self._listener.on_gone()


class FakeOwner:
    """A session that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.wakes = 0
        self.over: list[Utterance] = []
        self.on_ended: Callable[[Utterance], None] = lambda _utterance: None

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def wake(self) -> None:
        self.wakes += 1

    def ended(self, utterance: Utterance) -> None:
        self.over.append(utterance)
        self.on_ended(utterance)

    def kinds(self) -> list[str]:
        """Types of the messages so far."""
        return [message["type"] for message in self.sent]


def drain(utterance: Utterance, owner: FakeOwner) -> None:
    """Send whatever an utterance has to send now, as a session does."""
    while isinstance(pulled := utterance.pull(), list):
        owner.sent += pulled


def state(thing: Utterance | Model) -> str:
    """The state, read afresh: a type checker believes that it never changes between two asserts."""
    return thing.state


class Bench:
    """A model over fake workers, with what the daemon's core does around it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.workers: list[FakeWorker] = []
        config = Config(**settings)
        self.model = Model("fake-1", ENGINE, config, self.clock, self._start)
        self.owner = FakeOwner()
        self.owner.on_ended = self.model.withdraw
        self._ids = count(1)

    @property
    def worker(self) -> FakeWorker:
        """The latest worker."""
        return self.workers[-1]

    def _start(self, listener: Listener, _engine: Descriptor, _model: str) -> FakeWorker:
        self.workers.append(FakeWorker(listener))
        return self.workers[-1]

    def utterance(self, **fields: Any) -> Utterance:
        """A new utterance that nothing has happened to."""
        asked = {"type": "say", "id": next(self._ids), "text": "Hi.", **fields}
        return Utterance(check_client(asked), VOICE, self.owner, self.clock.now)

    def say(self, **fields: Any) -> Utterance:
        """Submit a new utterance."""
        utterance = self.utterance(**fields)
        self.model.submit(utterance)
        return utterance

    def speak(self, utterance: Utterance, samples: int = 960) -> None:
        """Let the worker send audio for the utterance that began last, and be done with it."""
        stream = self.worker.last("speak")["stream"]
        self.worker.report("chunk", stream=stream, pcm=b"\1\0" * samples, text_end=3)
        self.worker.report(
            "done", stream=stream, samples=samples, synth_ms=1.0, rss_bytes=1, vram_bytes=None
        )
        drain(utterance, self.owner)
