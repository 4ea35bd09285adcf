"""One model's life: its worker, who waits for it, who speaks with it, when it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Literal

from cosyd.config import Config
from cosyd.daemon.clock import Clock, Timer
from cosyd.daemon.utterance import Text, Utterance
from cosyd.daemon.watch import Watch
from cosyd.engines.base import Descriptor
from cosyd.errors import (
    Busy,
    CosydError,
    EngineCrashed,
    EngineTimeout,
    ShuttingDown,
    from_code,
)
from cosyd.link.host import Handle, Listener
from cosyd.logs import event

_LOG: Final = logging.getLogger("cosyd.model")

State = Literal["absent", "loading", "ready", "unloading"]

MODEL: Final[dict[tuple[State, str], State]] = {
    ("absent", "load"): "loading",
    ("loading", "ready"): "ready",
    ("loading", "gone"): "absent",
    ("ready", "unload"): "unloading",
    ("ready", "gone"): "absent",
    ("unloading", "gone"): "absent",
}
"""A model's transitions."""

Start = Callable[[Listener, Descriptor, str], Handle]
"""Start the worker of (engine, model) in the background; the listener hears of it."""
Loaded = Callable[[float | CosydError], None]
"""Told how long the load took in ms (0: it was there), or why it failed."""


class Model:
    """A model by name. Absent until somebody needs it; at most one worker at a time."""

    def __init__(
        self, name: str, engine: Descriptor, config: Config, clock: Clock, start: Start
    ) -> None:
        self.name = name
        self.engine = engine
        self.state: State = "absent"
        self.restarts = 0
        self.device: str | None = None
        self.memory: dict[str, int | None] = {}
        self.load_began_at: float | None = None
        self.loaded_at: float | None = None
        self.idle_since: float | None = None
        self.expires_at: float | None = None
        self.host: Handle | None = None
        self._config = config
        self._clock = clock
        self._start = start
        self._keep_alive_s = config.keep_alive_s
        self._expiry: Timer | None = None
        self._load_timeout: Timer | None = None
        self._waiting: list[Utterance] = []
        self._speaking: dict[int, Utterance] = {}
        self._numbers = count(1)
        self._load_waiters: list[Loaded] = []
        self._load_ms = 0.0
        self._end_reason: CosydError | None = None
        self._ended = False
        self._watch = Watch(clock, config, self._probe, self._on_hung, self._on_not_halting)

    # what sessions ask -------------------------------------------------------------------

    @property
    def users(self) -> int:
        """Utterances that wait for it or speak with it."""
        return len(self._waiting) + len(self._speaking)

    @property
    def speaking(self) -> bool:
        """Whether an utterance is being spoken with it."""
        return bool(self._speaking)

    def submit(self, utterance: Utterance) -> None:
        """Queue an utterance; its turn comes when the model is resident and has room.

        Raises:
            Busy: the queue is full.
        """
        if len(self._waiting) >= self._config.max_queued:
            raise Busy(f"{len(self._waiting)} utterances wait for this voice: try again later")
        keep_alive = utterance.request["keep_alive"]
        self._keep_alive_s = self._config.keep_alive_s if keep_alive is None else keep_alive
        utterance.cold = self.state != "ready"
        self._waiting.append(utterance)
        self._load()
        self._next()

    def withdraw(self, utterance: Utterance) -> None:
        """The utterance has ended, here or there: forget it and stop its compute."""
        if utterance in self._waiting:
            self._waiting.remove(utterance)
        number = self._number(utterance)
        if number is not None:
            del self._speaking[number]
            self._watch.open_streams = len(self._speaking)
            if utterance.outcome != "finished" and self.host is not None:
                self.host.order("cancel", stream=number)
                self._watch.cancelled(number)
        self._next()

    def load(self, told: Loaded) -> None:
        """Make it resident; `told` once, now or later."""
        if self.state == "ready":
            told(0.0)
            self._arm_expiry()
            return
        self._load_waiters.append(told)
        self._load()

    def unload(self) -> None:
        """End its worker. Raises `Busy` while anybody uses it."""
        if self.users or self.state == "loading":
            raise Busy(f"{self.name} is in use: stop what it says first (cosy stop)")
        if self._go("unload"):
            self._disarm_expiry()
            assert self.host is not None
            self.host.close()

    def end(self) -> None:
        """The daemon ends: no worker may stay, none may start."""
        self._ended = True
        for utterance in [*self._waiting, *self._speaking.values()]:
            utterance.fail(ShuttingDown("the daemon is ending: say it again in a moment"))
        self._disarm_expiry()
        self._watch.stop()
        if self.host is not None:
            self.host.kill()

    # Source: what utterances that speak ask ------------------------------------------------

    def write(self, utterance: Utterance, text: Text) -> None:
        """More text."""
        self._order("text", utterance, **text._asdict())

    def grant(self, utterance: Utterance, samples: int) -> None:
        """More credit."""
        self._order("credit", utterance, samples=samples)

    # Listener: what the worker says --------------------------------------------------------

    def on_report(self, report: dict[str, Any]) -> None:
        """A report of the worker."""
        self._watch.heard()
        if "rss_bytes" in report:
            self.memory = {key: report[key] for key in ("rss_bytes", "vram_bytes")}
        getattr(self, f"_on_{report['type']}")(report)

    def on_gone(self) -> None:
        """The worker has ended, asked or not."""
        died = f"the engine of {self.name} died; it is being restarted: say it again"
        was, reason = self.state, self._end_reason or EngineCrashed(died)
        self.host, self._end_reason, self.loaded_at, self.memory = None, None, None, {}
        self._go("gone")
        self._watch.stop()
        self._disarm_expiry()
        self._disarm_load_timeout()
        hit = list(self._speaking.values())
        self._speaking.clear()
        if was == "loading":
            hit += self._waiting
            self._waiting = []
            self._tell_loaded(reason)
        for utterance in hit:
            utterance.fail(reason)
        if was == "ready" and not self._ended:
            self.restarts += 1
            event(_LOG, "worker lost", level=logging.ERROR, model=self.name, code=reason.code)
        if was == "ready" or self._waiting or self._load_waiters:
            self._load()

    def _on_ready(self, report: dict[str, Any]) -> None:
        self._go("ready")
        self._disarm_load_timeout()
        self.device, self.loaded_at = report["device"], self._clock.now()
        assert self.load_began_at is not None
        self._load_ms = (self.loaded_at - self.load_began_at) * 1000
        event(_LOG, "model loaded", model=self.name, load_ms=round(self._load_ms, 1))
        self._tell_loaded(self._load_ms)
        self._next()

    def _on_load_failed(self, report: dict[str, Any]) -> None:
        self._end_reason = from_code(report["code"], report["message"])

    def _on_sentence(self, report: dict[str, Any]) -> None:
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_sentence(report)

    def _on_chunk(self, report: dict[str, Any]) -> None:
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_chunk(report)

    def _on_done(self, report: dict[str, Any]) -> None:
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_done(report)

    def _on_failed(self, report: dict[str, Any]) -> None:
        if utterance := self._speaking.get(report["stream"]):
            utterance.fail(from_code(report["code"], report["message"]))

    def _on_halted(self, report: dict[str, Any]) -> None:
        self._watch.halted(report["stream"])
        self._next()

    def _on_alive(self, _report: dict[str, Any]) -> None:
        pass  # `heard` has noted it

    # ---------------------------------------------------------------------------------------

    def _go(self, event_name: str) -> bool:
        after = MODEL.get((self.state, event_name))
        self.state = after or self.state
        return after is not None

    def _load(self) -> None:
        if self._ended or not self._go("load"):
            return
        self.load_began_at = self._clock.now()
        timeout = self._config.load_timeout_s
        self._load_timeout = self._clock.call_later(timeout, self._on_load_timeout)
        self.host = self._start(self, self.engine, self.name)

    def _tell_loaded(self, result: float | CosydError) -> None:
        waiters, self._load_waiters = self._load_waiters, []
        for told in waiters:
            told(result)

    def _next(self) -> None:
        """Begin whoever's turn it is; with nobody left, let the model expire."""
        while self.state == "ready" and self._waiting and self._has_room():
            first = max(self._waiting, key=lambda utterance: utterance.request["priority"])
            self._waiting.remove(first)
            self._begin(first)
        if self.state == "ready" and not self.users:
            self._arm_expiry()
        else:
            self._disarm_expiry()

    def _has_room(self) -> bool:
        # What halts may turn out to hang: nobody new begins behind it, for halt_timeout_s at most.
        return len(self._speaking) < self.engine.max_streams and not self._watch.halting

    def _begin(self, utterance: Utterance) -> None:
        assert self.host is not None
        number = next(self._numbers)
        self._speaking[number] = utterance
        self._watch.open_streams = len(self._speaking)
        now, ready_at = self._clock.now(), self.loaded_at or 0.0
        load_ms = max(0.0, ready_at - utterance.said_at) * 1000
        queue_ms = max(0.0, (now - utterance.said_at) * 1000 - load_ms)
        utterance.begin(self, cold=utterance.cold, queue_ms=queue_ms, load_ms=load_ms)
        first, *more = utterance.waiting_text
        self.host.order("speak", stream=number, **_speak_fields(utterance, first))
        for text in more:
            self.host.order("text", stream=number, **text._asdict())
        utterance.waiting_text.clear()

    def _order(self, kind: str, utterance: Utterance, **fields: Any) -> None:
        number = self._number(utterance)
        if number is not None and self.host is not None:
            self.host.order(kind, stream=number, **fields)

    def _number(self, utterance: Utterance) -> int | None:
        return next((n for n, other in self._speaking.items() if other is utterance), None)

    # timers --------------------------------------------------------------------------------

    def _arm_expiry(self) -> None:
        self._disarm_expiry()
        self.idle_since = self._clock.now()
        if 0 <= self._keep_alive_s < FOREVER_S:
            self.expires_at = self.idle_since + self._keep_alive_s
            self._expiry = self._clock.call_later(self._keep_alive_s, self._expire)

    def _disarm_expiry(self) -> None:
        self.idle_since = self.expires_at = None
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        event(_LOG, "model expired", model=self.name)
        self.unload()

    def _disarm_load_timeout(self) -> None:
        if self._load_timeout is not None:
            self._load_timeout.cancel()
            self._load_timeout = None

    def _on_load_timeout(self) -> None:
        self._replace(EngineTimeout(f"{self.name} did not load in time: see cosy daemon logs"))

    def _probe(self) -> None:
        if self.host is not None:
            self.host.order("probe")

    def _on_hung(self) -> None:
        self._replace(EngineTimeout(f"the engine of {self.name} hung and is replaced: try again"))

    def _on_not_halting(self) -> bool:
        if self._speaking:  # a step that is only slow should not cost the others their speech
            return False
        event(_LOG, "worker does not halt", model=self.name)
        self._replace(None)
        return True

    def _replace(self, reason: CosydError | None) -> None:
        self._end_reason = reason
        if self.host is not None:
            self.host.kill()


FOREVER_S: Final = 1e8
"""A keep_alive beyond three years is no timer worth arming."""


def _speak_fields(utterance: Utterance, first: Text) -> dict[str, Any]:
    request = utterance.request
    asked = ("instruct", "speed", "seed", "volume", "loudness", "sample_rate", "encoding")
    return {
        "voice": str(utterance.voice.path),
        "text": first.text,
        "final": first.final,
        "language": request["language"],
        "priority": request["priority"],
        "credit_samples": utterance.window_samples,
        **{key: request[key] for key in asked},
    }
