"""One model's life: who waits for it, who speaks with it, when its worker comes and goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Literal, Protocol

from cosyd.config import Config
from cosyd.daemon.clock import Clock
from cosyd.daemon.crashes import Crashes
from cosyd.daemon.expiry import Expiry
from cosyd.daemon.supervisor import End, Start, Supervisor
from cosyd.daemon.utterance import Utterance
from cosyd.daemon.waiting import Waiting
from cosyd.engines.base import Descriptor
from cosyd.errors import (
    Busy,
    CosydError,
    EngineCrashed,
    EngineTimeout,
    OutOfMemory,
    ShuttingDown,
)
from cosyd.logs import event

_LOG: Final = logging.getLogger("cosyd.model")

State = Literal["absent", "waiting", "loading", "ready", "unloading", "resting", "broken"]

MODEL: Final[dict[tuple[State, str], State]] = {
    ("absent", "need"): "waiting",  # for a place among the resident ones
    ("waiting", "admit"): "loading",
    ("waiting", "forgo"): "absent",
    ("loading", "ready"): "ready",
    ("loading", "gone"): "absent",
    ("ready", "unload"): "unloading",
    ("ready", "gone"): "absent",
    ("unloading", "gone"): "absent",
    ("absent", "rest"): "resting",  # it died and is tried again in a while
    ("resting", "rested"): "absent",
    ("absent", "break"): "broken",  # it died too often; nobody may wait for it
    ("broken", "rested"): "absent",
    ("broken", "retry"): "absent",
}
"""A model's transitions."""

RESIDENT: Final = frozenset[State]({"loading", "ready", "unloading"})
"""States in which there is a worker."""

Loaded = Callable[[float | CosydError], None]
"""Told how long the load took in ms (0: it was there), or why it failed."""


class Keeper(Protocol):
    """Who gives models their places."""

    def ask(self, model: Model) -> None:
        """It waits for a place: `admit` or `forgo` follows, now or later."""

    def changed(self) -> None:
        """A model has come, gone, or lost its last user."""

    def make_room(self, model: Model) -> bool:
        """Whether memory comes free for it by letting an idle one go."""


class Counts(Protocol):
    """What is counted."""

    def loaded(self, model: str, ms: float, cold: bool) -> None:
        """A load; `cold`: an utterance waited for it."""

    def restarted(self, model: str) -> None:
        """A worker was lost."""


class Model:
    """A model by name. Absent until somebody needs it."""

    def __init__(
        self,
        name: str,
        engine: Descriptor,
        config: Callable[[], Config],
        clock: Clock,
        start: Start,
        keeper: Keeper,
        counts: Counts,
    ) -> None:
        """`config` is asked anew each time, so that new settings count at once."""
        self.name = name
        self.engine = engine
        self.state: State = "absent"
        self.restarts = 0
        self.worker = Supervisor(name, engine, config, clock, start, self)
        self.crashes = Crashes(clock, config, self._on_rested)
        self.expiry = Expiry(clock, self._on_expired)
        self._config = config
        self._clock = clock
        self._keeper = keeper
        self._counts = counts
        self._asked_keep_alive_s: float | None = None
        self._waiting = Waiting(lambda: config().max_queued)
        self._load_waiters: list[Loaded] = []
        self._restart = False
        """Whether it is loaded again after its rest though nobody waits for it."""
        self._ended = False

    # what sessions ask -------------------------------------------------------------------

    @property
    def users(self) -> int:
        """Utterances that wait for it or speak with it."""
        return len(self._waiting) + self.worker.speaking

    @property
    def speaking(self) -> bool:
        """Whether an utterance is being spoken with it."""
        return self.worker.speaking > 0

    @property
    def wanted(self) -> bool:
        """Whether anybody uses it or waits for it."""
        return bool(self.users or self._load_waiters)

    @property
    def urgency(self) -> int:
        """The highest priority that waits for it."""
        return self._waiting.priority or 0

    @property
    def keep_alive_s(self) -> float:
        """How long it stays when nobody uses it; below 0: for ever."""
        asked = self._asked_keep_alive_s
        return self._config().keep_alive_s if asked is None else asked

    @property
    def fault(self) -> str | None:
        """Why it is not tried at the moment, and what to do about it."""
        if self.state != "broken":
            return None
        wait_s = self.crashes.retry_in_s or 0.0
        return (
            f"the engine of {self.name} died {self.crashes.in_a_row} times in a row: "
            f"wait {wait_s:.0f} s or type `cosy load {self.name}` to try it now; "
            "`cosy doctor` looks for the cause"
        )

    def submit(self, utterance: Utterance) -> None:
        """Queue an utterance; its turn comes when the model is resident and has room.

        Raises:
            Busy: the queue is full.
            EngineCrashed: it died too often and is not tried at the moment.
        """
        if self.fault is not None:
            raise EngineCrashed(self.fault)
        self._waiting.add(utterance)
        self._asked_keep_alive_s = utterance.request["keep_alive"]
        utterance.cold = self.state != "ready"
        self._need()
        self._next()

    def withdraw(self, utterance: Utterance) -> None:
        """The utterance has ended, here or there: forget it and stop its compute."""
        waited = self._waiting.remove(utterance)
        spoken = not waited and self.worker.withdraw(utterance)
        if spoken and utterance.outcome == "finished":
            self.crashes.forgive()
        if not self.wanted:
            self.forgo()
        self._next()

    def load(self, told: Loaded) -> None:
        """Make it resident, even if it has died too often; `told` once, now or later."""
        if self.state == "ready":
            told(0.0)
            self.expiry.disarm()
            self._next()
            return
        self._load_waiters.append(told)
        if self._go("retry"):
            self.crashes.stop_resting()
        self._need()

    def unload(self) -> None:
        """End its worker. Raises `Busy` while anybody uses it."""
        if self.wanted or self.state == "loading":
            raise Busy(f"{self.name} is in use: stop what it says first (cosy stop)")
        self._restart = False
        if self._go("unload"):
            self.expiry.disarm()
            self.worker.let_go()

    def end(self) -> None:
        """The daemon ends: no worker may stay, none may start."""
        self._ended = True
        ending = ShuttingDown("the daemon is ending: say it again in a moment")
        self.expiry.disarm()
        self.crashes.stop_resting()
        left = [*self._waiting.clear(), *self.worker.kill()]
        self._tell_loaded(ending)
        for utterance in left:
            utterance.fail(ending)
        self.forgo()

    def reconfigured(self, elsewhere: bool) -> None:
        """The settings are new ones. `elsewhere`: models are to load to another device."""
        if elsewhere and self.state not in RESIDENT:
            self.worker.device = None
        if self.expiry.idle_since is not None:
            self.expiry.arm(self.keep_alive_s, self.expiry.idle_since)

    # Keeper's answer -----------------------------------------------------------------------

    def admit(self) -> None:
        """There is a place: load."""
        if self._go("admit"):
            self.worker.load()

    def forgo(self) -> None:
        """There is no place, or nobody needs it any more."""
        if self._go("forgo"):
            self._keeper.changed()

    # Boss: what becomes of the worker ------------------------------------------------------

    def on_ready(self) -> None:
        """It is loaded: whoever waits may speak."""
        self._go("ready")
        load_ms = ((self.worker.loaded_at or 0.0) - self.worker.load_began_at) * 1000
        event(_LOG, "model loaded", model=self.name, load_ms=round(load_ms, 1))
        self._counts.loaded(self.name, load_ms, cold=bool(self._waiting))
        self._tell_loaded(load_ms)
        self._next()
        self._keeper.changed()

    def on_halted(self) -> None:
        """There may be room for the next one."""
        self._next()

    def on_gone(self, end: End) -> None:
        """The worker has ended, asked or not."""
        was = self.state
        self._go("gone")
        self.expiry.disarm()
        if not self._ended:
            self._recover(was, end)
        self._keeper.changed()

    def _recover(self, was: State, end: End) -> None:
        self._restart = was == "ready"
        if was == "ready":
            self.restarts += 1
            self._counts.restarted(self.name)
            event(_LOG, "worker lost", level=logging.ERROR, model=self.name, code=end.error.code)
        if was != "unloading" and end.crash:
            self._rest(was, end.error)
        elif was == "loading" and not self._room_for(end.error):
            self._give_up(end.error)
        error = end.error if self.fault is None else type(end.error)(self.fault)
        for utterance in end.spoke:
            utterance.fail(error)
        if self._restart or self.wanted:
            self._need()

    def _rest(self, was: State, error: CosydError) -> None:
        """It died. Whoever waits goes on waiting, unless that was once too often."""
        self._go(self.crashes.died())
        rest_s = self.crashes.retry_in_s
        event(_LOG, f"model {self.state}", level=logging.ERROR, model=self.name, seconds=rest_s)
        if self.fault is not None:
            self._restart = False
            self._give_up(EngineCrashed(self.fault))
        elif was == "loading" and isinstance(error, EngineTimeout):
            self._give_up(error)  # they have waited long enough

    def _room_for(self, error: CosydError) -> bool:
        """Whether loading again may go better, because memory comes free that was missing."""
        return isinstance(error, OutOfMemory) and self._keeper.make_room(self)

    def _give_up(self, error: CosydError) -> None:
        """Nobody waits any longer."""
        waited = self._waiting.clear()
        self._tell_loaded(error)
        for utterance in waited:
            utterance.fail(error)

    def _on_rested(self) -> None:
        self._go("rested")
        if self._restart or self.wanted:
            self._need()

    def _on_expired(self) -> None:
        event(_LOG, "model expired", model=self.name)
        self.unload()

    # ---------------------------------------------------------------------------------------

    def _go(self, event_name: str) -> bool:
        after = MODEL.get((self.state, event_name))
        self.state = after or self.state
        return after is not None

    def _need(self) -> None:
        if not self._ended and self._go("need"):
            self._keeper.ask(self)

    def _tell_loaded(self, result: float | CosydError) -> None:
        waiters, self._load_waiters = self._load_waiters, []
        for told in waiters:
            told(result)

    def _next(self) -> None:
        """Begin whoever's turn it is; with nobody left, let the model expire."""
        while self.state == "ready" and self._waiting and self._has_room():
            self._begin(self._waiting.take())
        if self.state != "ready" or self.users:
            self.expiry.disarm()
        elif self.expiry.idle_since is None:
            self.expiry.arm(self.keep_alive_s)
            self._keeper.changed()

    def _has_room(self) -> bool:
        # What halts may turn out to hang: nobody new begins behind it, for halt_timeout_s at most.
        # An engine that died too often gets one utterance to prove itself with.
        most = 1 if self.crashes.too_many else self.engine.max_streams
        return self.worker.speaking < most and not self.worker.halting

    def _begin(self, utterance: Utterance) -> None:
        now, ready_at = self._clock.now(), self.worker.loaded_at or 0.0
        loading_from = max(self.worker.load_began_at, utterance.said_at)
        load_ms = max(0.0, ready_at - loading_from) * 1000
        queue_ms = max(0.0, (now - utterance.said_at) * 1000 - load_ms)
        self.worker.begin(utterance, queue_ms, load_ms)
