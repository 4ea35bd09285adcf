"""One model's worker: started, watched, hung up on; and what its end means."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from cosyd.config import Config
from cosyd.daemon.clock import Clock, Timer
from cosyd.daemon.streams import Streams
from cosyd.daemon.utterance import Utterance
from cosyd.daemon.watch import Watch
from cosyd.engines.base import Descriptor
from cosyd.errors import CosydError, EngineCrashed, EngineTimeout, from_code
from cosyd.link.host import Handle, Listener
from cosyd.logs import event

_LOG: Final = logging.getLogger("cosyd.model")
UNLOAD_S: Final = 5.0
"""How long a worker that was hung up on may take to end."""

Start = Callable[[Listener, Descriptor, str], Handle]
"""Start the worker of (engine, model) in the background; the listener hears of it."""


class End(NamedTuple):
    """Why a worker ended that nobody let go."""

    error: CosydError
    """For those whom it hits."""
    crash: bool
    """Whether it counts as a death."""
    spoke: list[Utterance]
    """Those that it spoke."""


class Boss(Protocol):
    """Who is told."""

    def on_ready(self) -> None:
        """The model is loaded."""

    def on_halted(self) -> None:
        """A stream that was cancelled computes no more."""

    def on_gone(self, end: End) -> None:
        """The worker has ended, asked or not."""


class Supervisor:
    """At most one worker at a time."""

    def __init__(
        self,
        name: str,
        engine: Descriptor,
        config: Callable[[], Config],
        clock: Clock,
        start: Start,
        boss: Boss,
    ) -> None:
        self.device: str | None = None
        """Where the model was loaded last."""
        self.memory: dict[str, int | None] = {}
        """`rss_bytes` and `vram_bytes` as the worker said last."""
        self.size: dict[str, int] = {}
        """The same at their highest since it was loaded last: what it will need next time."""
        self.loaded_at: float | None = None
        self.load_began_at = 0.0
        self._name = name
        self._engine = engine
        self._config = config
        self._clock = clock
        self._start = start
        self._boss = boss
        self._host: Handle | None = None
        self._deadline: Timer | None = None
        self._end: tuple[CosydError, bool] | None = None
        self._watch = Watch(
            clock, config, self._probe, self._on_hung, self._on_not_halting, engine.halt_s
        )
        self._streams = Streams(self._order)
        self._reports: dict[str, Callable[[dict[str, Any]], None]] = {
            "ready": self._on_ready,
            "load_failed": self._on_load_failed,
            "sentence": self._streams.on_sentence,
            "chunk": self._streams.on_chunk,
            "done": self._streams.on_done,
            "failed": self._streams.on_failed,
            "halted": self._on_halted,
            "alive": lambda _report: None,  # `heard` has noted it
        }

    # what the model asks -------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """Of the worker."""
        return None if self._host is None else self._host.pid

    @property
    def speaking(self) -> int:
        """How many utterances it speaks."""
        return len(self._streams)

    @property
    def halting(self) -> bool:
        """Whether a stream that was cancelled may still compute."""
        return self._watch.halting

    def load(self) -> None:
        """Start it."""
        self.load_began_at = self._clock.now()
        self._give_until(self._config().load_timeout_s, self._on_load_timeout)
        self._host = self._start(self, self._engine, self._name)

    def begin(self, utterance: Utterance, queue_ms: float, load_ms: float) -> None:
        """Let it speak one more."""
        self._streams.begin(utterance, queue_ms, load_ms)
        self._watch.open_streams = len(self._streams)

    def withdraw(self, utterance: Utterance) -> bool:
        """Whether it spoke this one, which has ended; what it still computes for it halts."""
        number = self._streams.remove(utterance)
        if number is None:
            return False
        self._watch.open_streams = len(self._streams)
        if utterance.outcome != "finished" and self._host is not None:
            self._order("cancel", stream=number)
            self._watch.cancelled(number)
        return True

    def let_go(self) -> None:
        """Hang up: it ends itself, or is ended."""
        if self._host is not None:
            self._host.close()
            self._give_until(UNLOAD_S, self._host.kill)

    def kill(self) -> list[Utterance]:
        """End it at once; those that it spoke."""
        self._watch.stop()
        self._disarm_deadline()
        if self._host is not None:
            self._host.kill()
        return self._streams.clear()

    # Listener: what the worker says --------------------------------------------------------

    def on_report(self, report: dict[str, Any]) -> None:
        """A report of the worker."""
        self._watch.heard()
        if "rss_bytes" in report:
            self.memory = {key: report[key] for key in ("rss_bytes", "vram_bytes")}
            for key, value in self.memory.items():
                self.size[key] = max(self.size.get(key, 0), value or 0)
        self._reports[report["type"]](report)

    def on_gone(self) -> None:
        """The worker has ended, asked or not."""
        died = f"the engine of {self._name} died; it is being restarted: say it again"
        error, crash = self._end or (EngineCrashed(died), True)
        self._host, self._end, self.loaded_at, self.memory = None, None, None, {}
        self._watch.stop()
        self._disarm_deadline()
        self._boss.on_gone(End(error, crash, self._streams.clear()))

    def _on_ready(self, report: dict[str, Any]) -> None:
        self._disarm_deadline()
        self.device, self.loaded_at = report["device"], self._clock.now()
        self.size = {key: value or 0 for key, value in self.memory.items()}
        self._boss.on_ready()

    def _on_load_failed(self, report: dict[str, Any]) -> None:
        self._end = (from_code(report["code"], report["message"]), False)

    def _on_halted(self, report: dict[str, Any]) -> None:
        self._watch.halted(report["stream"])
        self._boss.on_halted()

    # what goes wrong -----------------------------------------------------------------------

    def _on_load_timeout(self) -> None:
        late = f"{self._name} did not load in time: see cosy daemon logs"
        self._replace(EngineTimeout(late), crash=True)

    def _on_hung(self) -> None:
        hung = f"the engine of {self._name} hung and is replaced: try again"
        self._replace(EngineTimeout(hung), crash=True)

    def _on_not_halting(self) -> bool:
        if self._streams:  # a step that is only slow should not cost the others their speech
            return False
        event(_LOG, "worker does not halt", model=self._name)
        replaced = f"the engine of {self._name} is replaced: say it again"
        self._replace(EngineCrashed(replaced), crash=False)
        return True

    def _replace(self, error: CosydError, crash: bool) -> None:
        self._end = (error, crash)
        if self._host is not None:
            self._host.kill()

    # ---------------------------------------------------------------------------------------

    def _probe(self) -> None:
        self._order("probe")

    def _order(self, kind: str, **fields: Any) -> None:
        if self._host is not None:
            self._host.order(kind, **fields)

    def _give_until(self, seconds: float, too_late: Callable[[], None]) -> None:
        """It is to have loaded, or to be gone, by then."""
        self._deadline = self._clock.call_later(seconds, too_late)

    def _disarm_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
