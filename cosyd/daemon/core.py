"""What all sessions share: voices, models, channels, counts, and the daemon's end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from cosyd.config import Config
from cosyd.daemon.boundary import attempt
from cosyd.daemon.channels import Channels
from cosyd.daemon.choice import check_can, choose_voice, engine_of
from cosyd.daemon.clock import Clock
from cosyd.daemon.entries import activity, model_entry
from cosyd.daemon.memory import machine_bytes, rss_bytes
from cosyd.daemon.model import RESIDENT, Loaded, Model
from cosyd.daemon.overview import open_utterances
from cosyd.daemon.residency import Memory, Residency
from cosyd.daemon.statistics import Statistics
from cosyd.daemon.supervisor import Start
from cosyd.daemon.utterance import Owner, Utterance
from cosyd.engines.registry import find, missing
from cosyd.errors import Busy, CosydError, ModelNotFound, ShuttingDown
from cosyd.logs import event
from cosyd.version import VERSION
from cosyd.voices.catalog import Catalog
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import Message

_LOG: Final = logging.getLogger("cosyd.daemon")
FIRST_LOOK_S: Final = 0.3
"""After the start: who came with it has been greeted by then."""


class Connection(Owner, Protocol):
    """What the core knows of a session."""

    client: str
    """Name of the program, as it gave it."""

    def utterances(self) -> list[Utterance]:
        """Those that have not ended."""


class Core:
    """The daemon's state, without its sockets."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        clock: Clock,
        start: Start,
        *,
        socket: str = "",
        activation: str = "self",
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.clock = clock
        self.statistics = Statistics()
        self.connections: set[Connection] = set()
        self.models: dict[str, Model] = {}
        self.draining = False
        self.farewells: list[Callable[[], None]] = []
        """What to say, to whoever asked for the end, just before it."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when utterances come or go, and connections or loads may have come to none."""
        self.on_shutdown: Callable[[bool], None] = lambda _drain: None
        self.idle_exit_in_s: Callable[[], float | None] = lambda: None
        self._start = start
        self._socket = socket
        self._activation = activation
        self._began_at = clock.now()
        self._channels = Channels(self._submit)
        self._was_loading = False
        memory = Memory(machine_bytes, rss_bytes, _vram_free_bytes)
        self._residency = Residency(
            self.models, lambda: self.config, clock, memory, self._on_models_changed
        )

    # utterances ----------------------------------------------------------------------------

    def say(self, request: Message, owner: Owner, keep: Callable[[Utterance], None]) -> None:
        """Accept a checked `say`; `keep` gets the utterance before anything happens to it.

        Raises:
            CosydError: why it cannot be spoken.
        """
        if self.draining:
            raise ShuttingDown("the daemon is ending: say it again in a moment")
        voice = choose_voice(request, self.catalog, self.config)
        check_can(request, voice, self.catalog)
        self._model_of(voice)
        if request["interrupt"]:
            for other in self._channels.members(request["channel"]):
                other.stop()
        utterance = Utterance(request, voice, owner, self.clock.now)
        keep(utterance)
        self._channels.enter(utterance)
        self.on_change()

    def ended(self, utterance: Utterance) -> None:
        """An utterance has had its terminal message."""
        self.statistics.ended(utterance)
        if (model := self.models.get(utterance.voice.model)) is not None:
            model.withdraw(utterance)
        self._channels.leave(utterance)
        self.on_change()

    def utterances(self) -> Iterator[Utterance]:
        """All that have not ended."""
        for connection in list(self.connections):
            yield from connection.utterances()

    def _submit(self, utterance: Utterance) -> None:
        try:
            self._model_of(utterance.voice).submit(utterance)
        except CosydError as error:
            utterance.fail(error)

    # models --------------------------------------------------------------------------------

    def _model_of(self, voice: Voicepack) -> Model:
        engine = engine_of(voice)
        if voice.model not in self.models:
            self.models[voice.model] = Model(
                *(voice.model, engine, lambda: self.config, self.clock, self._start),
                *(self._residency, self.statistics),
            )
        return self.models[voice.model]

    def model_named(self, name: str) -> Model:
        """A known model. Raises `ModelNotFound` or `EngineNotInstalled`."""
        for voice in self.catalog.voices().values():
            if voice.model == name:
                return self._model_of(voice)
        known = sorted({voice.model for voice in self.catalog.voices().values()})
        from difflib import get_close_matches  # only a mistake pays for it

        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise ModelNotFound(f"no model is called {name!r}: {hint}")

    def load(self, name: str, told: Loaded) -> None:
        """Make a model resident; `told` when it is, or why not.

        Raises:
            CosydError: it is not known or not installed, or the daemon is ending.
        """
        if self.draining:
            raise ShuttingDown("the daemon is ending: ask again in a moment")
        self.model_named(name).load(told)

    def unload(self, name: str | None) -> list[str]:
        """End a model's worker, or with None all idle ones'; the names of those ended.

        Raises:
            Busy: the model is in use.
            ModelNotFound: there is no such model.
        """
        if name is not None:
            model = self.model_named(name)
            resident = model.state in RESIDENT
            model.unload()
            return [name] if resident else []
        ended = []
        for model in self.models.values():
            if model.state == "ready" and not model.wanted:
                model.unload()
                ended.append(model.name)
        return ended

    def preload(self) -> None:
        """Load what the settings name, one after another; what cannot be is only logged.

        Such models are like any others afterwards: they go when their keep_alive is over.
        The voices' manifests are read ahead of need too, once the first greeting is out.
        """
        self.clock.call_later(FIRST_LOOK_S, self._look_at_voices)
        wanted = self.config.preload
        for name in wanted[self.config.max_resident :]:
            why = f"max_resident is {self.config.max_resident}"
            event(_LOG, "not preloaded", level=logging.WARNING, model=name, why=why)
        for name in wanted[: self.config.max_resident]:
            self._preload(name)

    def _look_at_voices(self) -> None:
        attempt(self.catalog.voices)  # whoever asks for a voice is told what is wrong

    def _preload(self, name: str) -> None:
        def told(result: float | CosydError) -> None:
            if isinstance(result, CosydError):
                event(_LOG, "not preloaded", level=logging.WARNING, model=name, why=str(result))

        try:
            self.load(name, told)
        except CosydError as error:
            told(error)

    def _on_models_changed(self) -> None:
        """Tell whoever wants to know that loading began or ended."""
        if self._was_loading != self._loading:
            self._was_loading = self._loading
            self.on_change()

    @property
    def _loading(self) -> bool:
        return any(model.state in ("waiting", "loading") for model in self.models.values())

    def reconfigure(self, config: Config) -> None:
        """Take new settings over; what is being said goes on.

        They count from now on. What a worker was started with (device, precision) changes when it
        is loaded next; sockets, preload and places of files, when the daemon starts next.
        """
        elsewhere = config.device != self.config.device
        self.config = config
        for model in self.models.values():
            model.reconfigured(elsewhere)
        self._residency.settle()
        self.on_change()

    # being asked ---------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether somebody is connected or spoken to, or a model is being loaded."""
        return bool(self.connections) or self._loading

    def voices(self) -> list[dict[str, Any]]:
        """The entries of `voices`, by name."""
        voices = [voice for _, voice in sorted(self.catalog.voices().items())]
        # Asked once for each engine: looking for its packages takes 0.3 ms.
        installed = {name: _is_installed(name) for name in {voice.engine for voice in voices}}
        return [voice_entry(voice, installed[voice.engine]) for voice in voices]

    def status(self) -> dict[str, Any]:
        """The fields of `status`."""
        now = self.clock.now()
        states = [utterance.state for utterance in self.utterances()]
        queued = sum(state in ("queued", "held") for state in states)
        return {
            "pid": os.getpid(),
            "uptime_s": round(now - self._began_at, 3),
            "version": VERSION,
            "socket": self._socket,
            "activation": self._activation,
            "idle_timeout_s": self.config.idle_timeout_s,
            "idle_exit_in_s": self.idle_exit_in_s(),
            "connections": len(self.connections),
            **self.statistics.snapshot(len(states) - queued, queued),
            "rss_bytes": rss_bytes(os.getpid()) or 0,
            "models": [
                model_entry(model, now) for model in self.models.values() if model.state != "absent"
            ],
            "open_utterances": open_utterances(self.connections, now),
        }

    def activity(self) -> str:
        """What is going on, in one line; nothing of what is spoken."""
        return activity(self.utterances(), self.models.values())

    def refuse_if_full(self, limit: int) -> None:
        """Raises `Busy` when there are `limit` connections already."""
        if len(self.connections) >= limit:
            raise Busy(f"{limit} connections are open: close one and try again")


def _vram_free_bytes(device: str) -> int | None:
    from cosyd.daemon.gpu import vram_free_bytes  # ctypes costs a start some ms

    return vram_free_bytes(device)


def _is_installed(name: str) -> bool:
    engine = find(name)
    return engine is not None and not missing(engine)


def voice_entry(voice: Voicepack, installed: bool) -> dict[str, Any]:
    """One entry of `voices`."""
    return {
        "name": voice.name,
        "model": voice.model,
        "engine": voice.engine,
        "languages": list(voice.languages),
        "sample_rate": voice.sample_rate,
        "description": voice.description,
        "capabilities": list(voice.capabilities),
        "installed": installed,
        "license": voice.license,
        "prompts": [prompt.name for prompt in voice.prompts],
    }
