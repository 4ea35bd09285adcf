"""What all sessions share: voices, models, channels, counts, and the daemon's end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from cosyd.config import Config
from cosyd.daemon.channels import Channels
from cosyd.daemon.choice import check_can, choose_voice, engine_of
from cosyd.daemon.clock import Clock
from cosyd.daemon.memory import rss_bytes
from cosyd.daemon.model import Loaded, Model, Start
from cosyd.daemon.statistics import Statistics
from cosyd.daemon.utterance import Owner, Utterance
from cosyd.engines.registry import find, missing
from cosyd.errors import Busy, CosydError, ModelNotFound, ShuttingDown
from cosyd.version import VERSION
from cosyd.voices.catalog import Catalog
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import Message


class Connection(Owner, Protocol):
    """What the core knows of a session."""

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
        """Called when connections, utterances or loads may have come to none."""
        self.on_shutdown: Callable[[bool], None] = lambda _drain: None
        self.idle_exit_in_s: Callable[[], float | None] = lambda: None
        self._start = start
        self._socket = socket
        self._activation = activation
        self._began_at = clock.now()
        self._channels = Channels(self._submit)

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
            model = Model(voice.model, engine, self.config, self.clock, self._start)
            self.models[voice.model] = model
        return self.models[voice.model]

    def model_named(self, name: str) -> Model:
        """A known model. Raises `ModelNotFound` or `EngineNotInstalled`."""
        for voice in self.catalog.voices().values():
            if voice.model == name:
                return self._model_of(voice)
        known = sorted({voice.model for voice in self.catalog.voices().values()})
        raise ModelNotFound(f"no model is called {name!r}: there are {', '.join(known)}")

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
            resident = model.state != "absent"
            model.unload()
            return [name] if resident else []
        ended = []
        for model in self.models.values():
            if model.state == "ready" and not model.users:
                model.unload()
                ended.append(model.name)
        return ended

    # being asked ---------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether somebody is connected or spoken to, or a model is being loaded."""
        loading = any(model.state == "loading" for model in self.models.values())
        return bool(self.connections) or loading

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
                _model_entry(model, now)
                for model in self.models.values()
                if model.state != "absent"
            ],
        }

    def refuse_if_full(self, limit: int) -> None:
        """Raises `Busy` when there are `limit` connections already."""
        if len(self.connections) >= limit:
            raise Busy(f"{limit} connections are open: close one and try again")


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
    }


def _model_entry(model: Model, now: float) -> dict[str, Any]:
    def since(moment: float | None) -> float | None:
        return None if moment is None else round(now - moment, 3)

    expires_in_s = None if model.expires_at is None else round(model.expires_at - now, 3)
    pid = model.host.pid if model.host is not None else None
    rss = rss_bytes(pid) if pid else None
    return {
        "model": model.name,
        "engine": model.engine.name,
        "state": "speaking" if model.speaking and model.state == "ready" else model.state,
        "pid": pid,
        "device": model.device,
        "loaded_s": since(model.loaded_at),
        "idle_s": since(model.idle_since),
        "expires_in_s": expires_in_s,
        "users": model.users,
        "rss_bytes": rss or model.memory.get("rss_bytes"),
        "vram_bytes": model.memory.get("vram_bytes"),
        "restarts": model.restarts,
    }
