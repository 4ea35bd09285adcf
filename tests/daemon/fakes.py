"""A clock, workers and owners that tests drive by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from cosyd.config import Config
from cosyd.daemon.model import Model
from cosyd.daemon.residency import Memory, Residency
from cosyd.daemon.statistics import Statistics
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

    def __init__(self, listener: Listener, model: str = "", pid: int = 4711) -> None:
        self.model = model
        self.pid = pid
        self.orders: list[dict[str, Any]] = []
        self.closed = self.killed = self.ended = False
        self.on_close: Callable[[FakeWorker], None] = lambda _worker: None
        self._listener = listener

    def order(self, kind: str, **fields: Any) -> None:
        self.orders.append({"type": kind, **fields})

    def close(self) -> None:
        self.closed = True
        self.on_close(self)

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

    def ready(self, device: str = "cpu", rss: int = 1, vram: int | None = None) -> None:
        """The model is loaded."""
        self.report("ready", load_ms=1.0, device=device, rss_bytes=rss, vram_bytes=vram)

    def gone(self) -> None:
        """The process has ended."""
        self.ended = True
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
    """Models over fake workers, with what the daemon's core does around them."""

    def __init__(self, *names: str, machine_bytes: int = 1 << 40, **settings: Any) -> None:
        """`names` of models; the first one is `model`."""
        self.clock = FakeClock()
        self.workers: list[FakeWorker] = []
        self.config = Config(**settings)
        self.statistics = Statistics()
        self.rss: dict[int, int] = {}
        """Of workers by pid; one that is not here is asked for its own reports."""
        self.vram_free: int | None = None
        self.on_close: Callable[[FakeWorker], None] = lambda _worker: None
        """Told when a worker is hung up on."""
        self.changes = 0
        self.models: dict[str, Model] = {}
        memory = Memory(lambda: machine_bytes, self.rss.get, lambda _device: self.vram_free)
        self.residency = Residency(
            self.models, lambda: self.config, self.clock, memory, self._on_change
        )
        for name in names or ("fake-1",):
            self.models[name] = Model(
                *(name, ENGINE, lambda: self.config, self.clock, self._start),
                *(self.residency, self.statistics),
            )
        self.model = next(iter(self.models.values()))
        self.owner = self.connection()
        self._ids = count(1)

    @property
    def worker(self) -> FakeWorker:
        """The latest worker."""
        return self.workers[-1]

    def living(self) -> list[FakeWorker]:
        """Workers that have not ended."""
        return [worker for worker in self.workers if not worker.ended]

    def connection(self) -> FakeOwner:
        """One more of those who say something."""
        owner = FakeOwner()
        owner.on_ended = lambda utterance: self.models[utterance.voice.model].withdraw(utterance)
        return owner

    def _on_change(self) -> None:
        self.changes += 1

    def _start(self, listener: Listener, _engine: Descriptor, model: str) -> FakeWorker:
        self.workers.append(FakeWorker(listener, model, 4711 + len(self.workers)))
        self.worker.on_close = self.on_close
        return self.worker

    def utterance(
        self, owner: FakeOwner | None = None, model: str = "", **fields: Any
    ) -> Utterance:
        """A new utterance that nothing has happened to."""
        asked = {"type": "say", "id": next(self._ids), "text": "Hi.", **fields}
        voice = replace(VOICE, model=model or self.model.name)
        return Utterance(check_client(asked), voice, owner or self.owner, self.clock.now)

    def say(self, owner: FakeOwner | None = None, model: str = "", **fields: Any) -> Utterance:
        """Submit a new utterance."""
        utterance = self.utterance(owner, model, **fields)
        self.models[utterance.voice.model].submit(utterance)
        return utterance

    def speak(self, utterance: Utterance, samples: int = 960, vram: int | None = None) -> None:
        """Let the worker send audio for the utterance that began last, and be done with it."""
        worker = next(w for w in self.living()[::-1] if w.model == utterance.voice.model)
        stream = worker.last("speak")["stream"]
        worker.report("chunk", stream=stream, pcm=b"\1\0" * samples, text_end=3)
        memory = {"rss_bytes": 1, "vram_bytes": vram}
        worker.report("done", stream=stream, samples=samples, synth_ms=1.0, **memory)
        owner = utterance.owner
        assert isinstance(owner, FakeOwner)
        drain(utterance, owner)

    def speak_one(self, model: str = "", **fields: Any) -> None:
        """Say something with a model, loading it if need be, to its end."""
        utterance = self.say(model=model, **fields)
        if utterance.state == "queued":
            self.worker.ready()
        self.speak(utterance)

    def reconfigure(self, **settings: Any) -> None:
        """New settings, as the core takes them over."""
        self.config = self.config._replace(**settings)
        for model in self.models.values():
            model.reconfigured(False)
        self.residency.settle()

    def crash(self) -> None:
        """The latest worker dies, and the rest after it passes."""
        self.worker.gone()
        self.clock.pass_s(self.config.backoff_max_s)
