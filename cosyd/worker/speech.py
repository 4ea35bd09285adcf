"""One utterance inside the worker: its engine stream, its audio chain, what is not sent yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cosyd.audio.chain import Chain
from cosyd.engines.base import Chunk, EngineStream, Span
from cosyd.link.orders import CHUNK_BYTES, pack
from cosyd.wire.messages import SAMPLE_BYTES

LOOKAHEAD_S: Final = 10.0
"""Audio computed before it may be sent; long enough to hide the next sentence's synthesis."""
HEAD_S: Final = 0.1
"""What of a chunk goes ahead of the rest: the chain takes 4 ms for every second of sound."""


def parts(chunk: Chunk, engine_rate: int) -> tuple[Chunk, ...]:
    """A chunk as its first `HEAD_S` and the rest, so that its sound need not wait for its end."""
    head = round(HEAD_S * engine_rate)
    if len(chunk.pcm) < 2 * head:
        return (chunk,)
    start, end = chunk.text
    middle = start + (end - start) * head // len(chunk.pcm)
    return (
        Chunk(chunk.pcm[:head], Span(start, middle), chunk.sentence),
        Chunk(chunk.pcm[head:], Span(middle, end)),
    )


@dataclass(frozen=True, slots=True)
class Format:
    """What the client asked to hear."""

    sample_rate: int
    encoding: str
    gain: float

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_BYTES[self.encoding]


class _Piece(NamedTuple):
    """PCM that waits for credit, and the stretch of text it speaks."""

    pcm: memoryview
    start: float
    end: float

    def cut(self, size_bytes: int) -> tuple[_Piece, _Piece]:
        """The first `size_bytes` and the rest, the text shared out evenly."""
        middle = self.start + (self.end - self.start) * size_bytes / len(self.pcm)
        head = _Piece(self.pcm[:size_bytes], self.start, middle)
        return head, _Piece(self.pcm[size_bytes:], middle, self.end)


class Speech:
    """State of one utterance; lives as long as its engine stream."""

    def __init__(
        self,
        number: int,
        stream: EngineStream,
        engine_rate: int,
        audio: Format,
        order: dict[str, Any],
    ) -> None:
        self.number = number
        self.stream = stream
        self.priority: int = order["priority"]
        self.cancelled = False
        self.ended = False
        self.synth_s = 0.0
        self._credit: int = order["credit_samples"]
        self._audio = audio
        self._engine_rate = engine_rate
        self._chain = Chain(engine_rate, audio.sample_rate, audio.gain, audio.encoding)
        self._pending: deque[_Piece] = deque()
        self._pending_samples = 0
        self._sent_samples = 0
        self._engine_samples = 0
        self._text_end = 0

    @property
    def runnable(self) -> bool:
        """Whether a step of it is wanted now."""
        lookahead = LOOKAHEAD_S * self._audio.sample_rate
        wanted = not (self.ended or self.cancelled) and self._pending_samples < lookahead
        return wanted and self.stream.ready

    @property
    def lead_s(self) -> float:
        """Seconds of audio made beyond what the daemon has passed on (its credit window aside)."""
        return (self._pending_samples - self._credit) / self._audio.sample_rate

    @property
    def finished(self) -> bool:
        """Whether the engine is done and everything is sent."""
        return self.ended and not self._pending

    @property
    def samples(self) -> int:
        """Samples made so far, at the asked rate."""
        return self._sent_samples + self._pending_samples

    def grant(self, samples: int) -> None:
        """The daemon has room for `samples` more."""
        self._credit += samples

    def take(self, chunk: Chunk) -> list[bytes]:
        """Accept a step's chunk; the `sentence` report that goes before its audio, if any.

        Raises:
            NotFinite: the chunk holds samples that are not numbers.
        """
        reports = []
        if chunk.sentence is not None:
            offset = round(self._engine_samples * self._audio.sample_rate / self._engine_rate)
            start, end = chunk.sentence
            reports.append(
                pack("sentence", stream=self.number, offset=offset, start=start, end=end)
            )
        self._engine_samples += len(chunk.pcm)
        self._append(self._chain.process(chunk.pcm), chunk.text.end)
        return reports

    def end(self) -> list[bytes]:
        """The engine has nothing more: let out what resampler and limiter hold back."""
        self._append(self._chain.flush(), self._text_end)
        self.ended = True
        return []

    def sendable(self) -> Iterator[bytes]:
        """The `chunk` reports that the credit allows now."""
        while self._pending and self._credit > 0:
            limit = min(CHUNK_BYTES, self._credit * self._audio.sample_bytes)
            piece = self._pending.popleft()
            if len(piece.pcm) > limit:
                piece, rest = piece.cut(limit)
                self._pending.appendleft(rest)
            samples = len(piece.pcm) // self._audio.sample_bytes
            self._credit -= samples
            self._pending_samples -= samples
            self._sent_samples += samples
            text_end = round(piece.end)
            yield pack("chunk", stream=self.number, pcm=piece.pcm, text_end=text_end)

    def _append(self, pcm: bytes, text_end: int) -> None:
        if pcm:
            self._pending.append(_Piece(memoryview(pcm), self._text_end, text_end))
            self._pending_samples += len(pcm) // self._audio.sample_bytes
        self._text_end = text_end
