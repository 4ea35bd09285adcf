"""The `tone` engine: sine tones instead of speech, for tests. Deterministic and instant.

A word is 100 ms of tone whose pitch follows from its letters; a sentence is a chunk. Knobs come
in the request's `instruct` as "key=value key=value":

    slow_ms=N      every step takes N ms (interruptible)
    busy_ms=N      every step computes for N ms without looking up (not interruptible)
    word_ms=N      length of a word (100)
    crash_after=N  the process kills itself after N chunks
    hang_after=N   after N chunks a step never returns, interrupted or not
    fail_after=N   after N chunks the stream fails with `internal`
    nan_after=N    after N chunks the audio is not a number
    leak_mb=N      every step keeps N MB
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cosyd.engines.base import (
    Chunk,
    Descriptor,
    Engine,
    EngineStream,
    Interrupted,
    Request,
    Settings,
    Span,
)
from cosyd.errors import BadRequest, CosydError, EmptyText, Internal, ModelLoadFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DESCRIPTOR = Descriptor(
    name="tone",
    factory="cosyd.engines.tone:load",
    requires=("numpy",),
    install="pip install cosyd",
    capabilities=("streaming", "text_streaming", "instruct", "speed"),
    max_streams=8,
    license="Apache-2.0",
)

SAMPLE_RATE: Final = 24_000
_SENTENCE = re.compile(r"[^.!?。！？\n]*[.!?。！？\n]+|[^.!?。！？\n]+$")
_KNOBS: Final = (
    "slow_ms",
    "busy_ms",
    "word_ms",
    "crash_after",
    "hang_after",
    "fail_after",
    "nan_after",
    "leak_mb",
)


def load(model: str, _settings: Settings) -> Engine:
    """The engine. "tone-broken" fails to load, "tone-dead" dies while it loads, "tone-stuck" never
    ends loading."""
    if model == "tone-broken":
        raise ModelLoadFailed("tone.weights: tensor 'pitch' is missing: it is meant to be")
    if model == "tone-dead":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "tone-stuck":
        threading.Event().wait()
    return ToneEngine()


def _parse_knobs(instruct: str | None) -> dict[str, int]:
    knobs: dict[str, int] = {}
    for part in (instruct or "").split():
        name, _, value = part.partition("=")
        if name not in _KNOBS or not value.isdigit():
            raise BadRequest(f"instruct: the tone engine has no knob {part!r}")
        knobs[name] = int(value)
    return knobs


class ToneStream:
    """One utterance of tones."""

    def __init__(self, request: Request) -> None:
        self._knobs = _parse_knobs(request.instruct)
        self._speed = request.speed
        self._sentences: deque[tuple[Span, str]] = deque()
        self._pending = ""
        self._at = 0
        self._final = False
        self._chunks = 0
        self._interrupted = threading.Event()
        self._kept: list[bytearray] = []

    @property
    def ready(self) -> bool:
        """Whether a sentence or the end is there."""
        return bool(self._sentences) or self._final

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        """Append text; whole sentences become steps."""
        self._pending += text
        self._final = self._final or final
        pieces = _SENTENCE.findall(self._pending)
        unfinished = bool(pieces) and pieces[-1].rstrip()[-1:] not in tuple(".!?。！？")
        keep = pieces.pop() if unfinished and not (final or flush) else ""
        for piece in pieces:
            end = self._at + len(piece)
            span = Span(end - len(piece.lstrip()), end)
            self._at = end
            if any(letter.isalnum() for letter in piece):
                self._sentences.append((span, piece))
        self._pending = keep

    def interrupt(self) -> bool:
        """End a running slow step."""
        self._interrupted.set()
        return True

    def close(self) -> None:
        """Drop everything."""
        self._sentences.clear()

    def step(self) -> Chunk | CosydError | None:
        """The next sentence as a chunk."""
        self._misbehave()
        if not self._sentences:
            return None if self._chunks else EmptyText("nothing speakable: give some words")
        span, sentence = self._sentences.popleft()
        if self._due("fail_after"):
            return Internal("the tone engine was told to fail")
        pcm = self._tones(sentence)
        if self._due("nan_after"):
            pcm[:] = float("nan")
        self._chunks += 1
        return Chunk(pcm=pcm, text=span, sentence=span)

    def _due(self, knob: str) -> bool:
        return knob in self._knobs and self._chunks >= self._knobs[knob]

    def _misbehave(self) -> None:
        if self._due("crash_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._due("hang_after"):
            threading.Event().wait()
        if self._interrupted.wait(self._knobs.get("slow_ms", 0) / 1000):
            raise Interrupted
        end = time.monotonic() + self._knobs.get("busy_ms", 0) / 1000
        while time.monotonic() < end:
            pass  # what a computation that cannot be interrupted looks like
        if "leak_mb" in self._knobs:
            self._kept.append(bytearray(os.urandom(1 << 20) * self._knobs["leak_mb"]))

    def _tones(self, sentence: str) -> NDArray[np.float32]:
        import numpy as np

        words = [word for word in sentence.split() if any(map(str.isalnum, word))]
        samples = round(self._knobs.get("word_ms", 100) / 1000 * SAMPLE_RATE / self._speed)
        ramp = np.minimum(1.0, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / 120)
        time_s = np.arange(samples) / SAMPLE_RATE
        pitches = [200 + sum(ord(c) for c in word if c.isalnum()) % 400 for word in words]
        tones = [0.25 * ramp * np.sin(2 * np.pi * pitch * time_s) for pitch in pitches]
        return np.concatenate(tones).astype(np.float32)


class ToneEngine:
    """No weights; every stream steps alone."""

    sample_rate = SAMPLE_RATE
    device = "cpu"
    batch = 1

    def warm_up(self) -> None:
        """numpy is all there is to warm."""
        import numpy  # noqa: F401 - the import is the warm-up

    def open(self, request: Request) -> EngineStream:
        """Begin an utterance. Raises `BadRequest` for unknown knobs."""
        return ToneStream(request)

    def step(self, streams: Sequence[EngineStream]) -> Sequence[Chunk | CosydError | None]:
        """One sentence of the one stream."""
        (stream,) = streams
        assert isinstance(stream, ToneStream)
        return [stream.step()]
