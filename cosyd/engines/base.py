"""What an engine is. Importing this module imports no ML package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from cosyd.errors import CosydError
    from cosyd.voices.voicepack import Voicepack


class Settings(NamedTuple):
    """What of the daemon's configuration engines are told."""

    data_dir: Path
    """Models live in its `models`, cloned voices in its `voicepacks`."""
    device: str = "auto"
    """"auto" (the best there is), "cpu", "cuda", "cuda:1", "mps"."""
    precision: str = "auto"
    """"auto" (what suits the device), "fp32", "bf16", "fp16", "int8"."""


class Span(NamedTuple):
    """Character positions `start:end` in all the text written to one engine stream."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Request:
    """What one utterance asks of an engine; its text follows through `EngineStream.write`."""

    voice: Voicepack
    language: str | None = None
    """BCP 47 tag such as "en" or "zh"; None: detect per sentence."""
    instruct: str | None = None
    speed: float = 1.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one step of one stream made."""

    pcm: NDArray[np.float32]
    """float32 [samples] at the engine's sample_rate, about -1…1; may be empty: no audio yet."""
    text: Span
    """The characters spoken up to the end of this chunk: `text.end` is the position reached."""
    sentence: Span | None = None
    """On a sentence's first chunk: the sentence's characters, those written so far if it is spoken
    before its end is there. None elsewhere."""


class EngineStream(Protocol):
    """One utterance inside an engine. All that changes per utterance lives here."""

    @property
    def ready(self) -> bool:
        """Whether a step can make audio or find the end without more text being written."""

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        """Append text. `final`: the last of it. `flush`: speak all of it, whole sentence or not."""

    def interrupt(self) -> bool:
        """From any thread: make a running step of this stream end early with `Interrupted`.

        Returns:
            Whether something of it may be under computation now. If not, nothing will be again,
            even where a step of a batch that it is in goes on for the others.
        """

    def close(self) -> None:
        """Drop everything the stream holds. Called exactly once, after the last step."""


class Interrupted(Exception):
    """A step was ended by `EngineStream.interrupt`."""


class Engine(Protocol):
    """One loaded model. Weights never change after the factory returned it."""

    sample_rate: int
    """Hz of every chunk."""
    device: str
    """Where the weights are: "cpu", "cuda:0", "mps"."""
    batch: int
    """The most streams one step can take; 1 for engines that do not batch."""

    def warm_up(self) -> None:
        """Run the first, slow inference, so that the first request does not pay for it."""

    def open(self, request: Request) -> EngineStream:
        """Begin an utterance. Raises `cosyd.errors.CosydError` for what the engine cannot do."""

    def step(self, streams: Sequence[EngineStream]) -> Sequence[Chunk | CosydError | None]:
        """Advance each of 1…batch ready streams once; one outcome for each, in order.

        A `Chunk` is audio (possibly none yet), None the end of the stream, an error fails that
        stream alone. A stream whose text held nothing speakable ends with `EmptyText`.
        Raises `Interrupted` if a stream of the batch was interrupted meanwhile.
        """


class Clones(NamedTuple):
    """What is true of every voice that an engine clones from a recording."""

    model: str
    """The weights that speak it."""
    sample_rate: int
    """Hz, of the model's output."""
    languages: tuple[str, ...]
    """BCP 47 tags of all that it speaks, whichever language the recording is in."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """How an engine is found and started, published in the entry-point group `cosyd.engines`."""

    name: str
    factory: str
    """"module:function" of `(model: str, settings: Settings) -> Engine`, called in the worker;
    loads the weights.
    Raises `ModelNotFound`, `ModelLoadFailed`, `EngineNotInstalled` or `OutOfMemory`."""
    requires: tuple[str, ...]
    """Import names that must be findable, or the engine counts as not installed."""
    install: str
    """What to type to install it."""
    capabilities: tuple[str, ...]
    """Out of "streaming", "zero_shot", "cross_lingual", "instruct", "text_streaming", "speed"."""
    max_streams: int
    """The most utterances a worker of this engine holds at once; more wait in the daemon."""
    license: str
    """SPDX expression of engine code and weights."""
    halt_s: float = 0.0
    """How long one computation that cannot be interrupted may take: a stream that was cancelled
    has at least so long to halt before its worker is replaced."""
    clones: Clones | None = None
    """Of engines that can clone; such a voice is a voicepack with prompts and nothing else."""
