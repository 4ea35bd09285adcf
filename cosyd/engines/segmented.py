"""Engines that speak segment by segment: all of a stream but the synthesis itself.

text → segmenter → segment → `SegmentEngine.synthesise` → trimmed, faded, with its pause → chunk
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cosyd.engines.base import Chunk, Interrupted, Request, Span
from cosyd.engines.shape import Shape, shaped
from cosyd.errors import CosydError, EmptyText, Internal
from cosyd.text.segment import Segment, Segmenter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cosyd.engines.base import EngineStream

NOTHING_SPEAKABLE = "nothing speakable in the text: give some words"


class Cancel(Protocol):
    """What ends a running inference from another thread."""

    def __call__(self) -> None: ...


class SegmentStream:
    """One utterance: its segmenter, and where it is. See `base.EngineStream`."""

    def __init__(self, request: Request, language: str) -> None:
        self.request = request
        self.language = language
        """Of sentences whose script tells nothing: the last one's, at first the voice's."""
        self.spoken = False
        """Whether any audio has been made."""
        self.cancelled = threading.Event()
        self.on_cancel: Callable[[], None] | None = None
        """Set while an inference runs: ends it."""
        self._lock = threading.Lock()
        self._segmenter = Segmenter()
        self._ended = False
        self._begun = -1  # start of the last sentence that a chunk was marked with

    @property
    def ready(self) -> bool:
        """Whether a segment is there, or the end."""
        return self._segmenter.peek() is not None or self._segmenter.done

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        """Append text; see `base.EngineStream.write`."""
        self._segmenter.write(text, final=final, flush=flush)

    def interrupt(self) -> bool:
        """From any thread: a step that runs raises `Interrupted`, as does the next one."""
        with self._lock:
            self.cancelled.set()
            if self.on_cancel is not None:
                self.on_cancel()
        return True

    def guard(self, cancel: Callable[[], None] | None) -> None:
        """Let `interrupt` call `cancel` from now on; None: no inference runs any more.

        Raises:
            Interrupted: it came before.
        """
        with self._lock:
            self.on_cancel = cancel
            if cancel is not None and self.cancelled.is_set():
                self.on_cancel = None
                raise Interrupted

    def close(self) -> None:
        """Drop the text."""
        self._segmenter = Segmenter()

    def take(self) -> Segment | None:
        """The next segment, or None at the end."""
        segment = self._segmenter.take()
        if segment is not None and segment.language is not None:
            self.language = segment.language
        return segment

    def at_end(self) -> bool:
        """Whether nothing at all comes after what was taken, as far as is known."""
        return self._segmenter.done

    def mark(self, segment: Segment) -> Span | None:
        """The sentence that begins with this chunk, if one does.

        A sentence whose first segment had nothing to say begins with the first that has.
        """
        if segment.sentence_start == self._begun:
            return None
        self._begun = segment.sentence_start
        return Span(segment.sentence_start, segment.sentence_end)


class SegmentEngine:
    """Base of engines that turn one segment at a time into sound. See `base.Engine`."""

    sample_rate: int
    device: str
    batch: int = 1
    shape: Shape = Shape()
    """How segments are trimmed and joined."""

    def synthesise(
        self, stream: SegmentStream, segment: Segment, language: str
    ) -> NDArray[np.float32]:
        """float32 [samples] of one segment, untrimmed; empty if it has nothing speakable.

        `language`: what the request asks for, else the sentence's own. Runs inferences between
        `stream.guard(cancel)` and `stream.guard(None)`; raises `Interrupted` if one was ended.
        """
        raise NotImplementedError

    def step(self, streams: Sequence[EngineStream]) -> Sequence[Chunk | CosydError | None]:
        """One segment of each stream; see `base.Engine.step`."""
        outcomes: list[Chunk | CosydError | None] = []
        for stream in streams:
            assert isinstance(stream, SegmentStream)  # only `open` makes them
            try:
                outcomes.append(self._advance(stream))
            except CosydError as error:
                outcomes.append(error)
        return outcomes

    def _advance(self, stream: SegmentStream) -> Chunk | None:
        if stream.cancelled.is_set():
            raise Interrupted
        segment = stream.take()
        if segment is None:
            if not stream.spoken:
                raise EmptyText(NOTHING_SPEAKABLE)
            return None
        pcm = self.synthesise(stream, segment, _language(stream, segment))
        if not np.isfinite(pcm).all():
            raise Internal("the model made broken sound: say it again, or in other words")
        position = Span(segment.start, segment.end)
        if not pcm.size:
            return Chunk(np.zeros(0, np.float32), position)
        pcm = shaped(
            pcm,
            self.sample_rate,
            self.shape,
            clause=not segment.last,
            paragraph=segment.paragraph and stream.spoken,
            final=stream.at_end(),
        )
        stream.spoken = True
        return Chunk(pcm, position, stream.mark(segment))


def _language(stream: SegmentStream, segment: Segment) -> str:
    asked = stream.request.language
    if asked is not None:
        return asked.partition("-")[0].lower()
    return segment.language or stream.language
