"""Which models are resident: as many as may be and as memory allows, the least used make room.

Budgets are about models that are there together. One that is alone, or the only one on the GPU,
may always load: whether it fits is then the engine's to find out, and its error says what is
missing. What a model needs is what it took when it was loaded last; before that nobody knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from cosyd.config import Config
from cosyd.daemon.clock import Clock, Timer
from cosyd.daemon.model import RESIDENT, Model
from cosyd.logs import event

_LOG: Final = logging.getLogger("cosyd.residency")
_MB: Final = 1 << 20
_SHARE_OF_THE_MACHINE: Final = 0.75

Lack = Literal["place", "memory", "vram"]


class Memory(NamedTuple):
    """What is asked of the system; tests hand in their own."""

    machine_bytes: Callable[[], int]
    """All memory there is."""
    rss_bytes: Callable[[int], int | None]
    """Of a process by its id."""
    vram_free_bytes: Callable[[str], int | None]
    """Of the device a model names, as its driver says; None: unknown."""


class Residency:
    """Gives models their places. One load at a time for each device."""

    def __init__(
        self,
        models: Mapping[str, Model],
        config: Callable[[], Config],
        clock: Clock,
        memory: Memory,
        on_change: Callable[[], None],
    ) -> None:
        """`models`: all there are, by name. `on_change`: one came, went, or is asked for."""
        self._models = models
        self._config = config
        self._clock = clock
        self._memory = memory
        self._on_change = on_change
        self._asking: list[Model] = []
        self._starved: set[str] = set()
        """Names of models that found too little memory when they were loaded last."""
        self._settling = self._unsettled = False
        self._timer: Timer | None = None

    # Keeper: what models ask ---------------------------------------------------------------

    def ask(self, model: Model) -> None:
        """`model` waits for a place."""
        self._asking = [*(other for other in self._asking if other is not model), model]
        self.changed()

    def changed(self) -> None:
        """A model has come, gone, or lost its last user."""
        self.settle()
        self._on_change()

    def make_room(self, model: Model) -> bool:
        """Let the least recently used idle one go for `model`; whether memory comes free."""
        self._starved.add(model.name)
        if any(other.state == "unloading" for other in self._models.values()):
            return True
        return self._evict("memory") is not None

    # ---------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let in whoever may, and let go whoever must. What that causes is settled as well."""
        self._unsettled = True
        if self._settling:
            return
        self._settling = True
        try:
            while self._unsettled:
                self._unsettled = False
                self._trim()
                self._admit()
        finally:
            self._settling = False

    def _admit(self) -> None:
        """The most urgent first, equals by age; nobody overtakes who waits for room."""
        self._asking = [model for model in self._asking if model.state == "waiting"]
        full = False
        for model in sorted(self._asking, key=lambda model: -model.urgency):
            its_turn = not full and not self._device_is_loading(model)
            if its_turn and self._may_come(model):
                self._starved.discard(model.name)
                model.admit()
            elif not model.wanted:  # a restart ahead of need is not worth anybody's place
                model.forgo()
            elif its_turn:
                self._make_room_for(model)
                full = True

    def _may_come(self, model: Model) -> bool:
        resident = self._resident()
        if model.name in self._starved and any(m.state == "unloading" for m in resident):
            return False  # memory that it found missing is about to come free
        return self._lacks(model, resident) is None

    def _make_room_for(self, model: Model) -> None:
        """Let idle ones go until it will fit. If that is not enough, what is missing comes."""
        while (lack := self._lacks(model, self._staying())) is not None:
            if self._evict(lack) is None:
                return

    def _trim(self) -> None:
        """Let idle ones go that are too many: one was bigger than known, or settings changed."""
        while (lack := self._lacks(None, self._staying())) is not None:
            if self._evict(lack) is None:
                return

    def _evict(self, lack: Lack) -> Model | None:
        """Let one idle model go: least recently used first, those that are to stay for ever last.

        If all are too young for it, it is tried again when the first one is not any more.
        """
        idle = [m for m in self._models.values() if m.state == "ready" and not m.wanted]
        if lack == "vram":
            idle = [model for model in idle if _vram(model)]
        now, least_s = self._clock.now(), self._config().min_residency_s
        grown_up_at = {m.name: (m.worker.loaded_at or 0.0) + least_s for m in idle}
        old = [model for model in idle if grown_up_at[model.name] <= now]
        if not old:
            self._look_again_at(min(grown_up_at.values(), default=None))
            return None
        victim = min(old, key=lambda m: (m.keep_alive_s < 0, m.expiry.idle_since or 0.0))
        event(_LOG, "model makes room", model=victim.name)
        victim.unload()
        return victim

    def _look_again_at(self, moment: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if moment is not None:
            self._timer = self._clock.call_later(moment - self._clock.now(), self.settle)

    def _device_is_loading(self, model: Model) -> bool:
        """Whether one loads to the same device; of those never loaded nobody knows which it is."""
        loading = [m.worker.device for m in self._models.values() if m.state == "loading"]
        own = model.worker.device
        return any(None in (own, device) or own == device for device in loading)

    def _resident(self) -> list[Model]:
        return [model for model in self._models.values() if model.state in RESIDENT]

    def _staying(self) -> list[Model]:
        return [model for model in self._resident() if model.state != "unloading"]

    def _lacks(self, model: Model | None, beside: list[Model]) -> Lack | None:
        """What is missing for it to be beside those; None for `model`: for them together."""
        coming = [] if model is None else [model]
        if len(beside) + len(coming) <= 1:
            return None
        if len(beside) + len(coming) > max(1, self._config().max_resident):
            return "place"
        if not self._ram_fits(coming, beside):
            return "memory"
        return None if self._vram_fits(model, beside) else "vram"

    def _ram_fits(self, coming: Iterable[Model], beside: Iterable[Model]) -> bool:
        configured = self._config().ram_budget_mb * _MB
        budget = configured or self._memory.machine_bytes() * _SHARE_OF_THE_MACHINE
        needed = sum(model.worker.size.get("rss_bytes", 0) for model in coming)
        return needed + sum(self._rss(model) for model in beside) <= budget

    def _rss(self, model: Model) -> int:
        """What it holds; of one that is being loaded, what it will hold as far as is known."""
        if model.state == "loading":
            return model.worker.size.get("rss_bytes", 0)
        pid = model.worker.pid
        now = self._memory.rss_bytes(pid) if pid else None
        return now or model.worker.memory.get("rss_bytes") or 0

    def _vram_fits(self, model: Model | None, beside: list[Model]) -> bool:
        if not any(_vram(other) for other in beside):
            return True  # alone on the GPU
        needed = 0 if model is None else model.worker.size.get("vram_bytes", 0)
        budget = self._config().vram_budget_mb * _MB
        if budget:
            return needed + sum(_vram(other) for other in beside) <= budget
        if not needed or model is None or model.worker.device is None:
            return True
        free = self._memory.vram_free_bytes(model.worker.device)
        if free is None:
            return True
        leaving = [other for other in self._resident() if other not in beside]
        return needed <= free + sum(_vram(other) for other in leaving)


def _vram(model: Model) -> int:
    """What it holds on the GPU, or will hold."""
    if model.state == "loading":
        return model.worker.size.get("vram_bytes", 0)
    return model.worker.memory.get("vram_bytes") or 0
