"""One `say` from its first byte to its one terminal message."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from cosyd.audio.framer import Framer
from cosyd.daemon.pacer import Pacer
from cosyd.errors import CosydError
from cosyd.voices.voicepack import Voicepack
from cosyd.wire.messages import REALTIME_LEAD_MS, SAMPLE_BYTES, Message, frame_samples
from cosyd.wire.states import BEGUN, GATE_OPEN, UTTERANCE, Event, State

WINDOW_S: Final = 2.0
"""Audio that may wait in the daemon for one utterance; the worker's first credit."""


class Text(NamedTuple):
    """One piece of text as it came."""

    text: str
    final: bool
    flush: bool


class Owner(Protocol):
    """The session an utterance belongs to."""

    def send(self, message: Message) -> None:
        """Put a message on the connection."""

    def wake(self) -> None:
        """There may be something to pull."""

    def ended(self, utterance: Utterance) -> None:
        """The utterance has had its terminal message."""


class Source(Protocol):
    """Where an utterance that has begun gets its audio from."""

    def write(self, utterance: Utterance, text: Text) -> None:
        """Pass more text on."""

    def grant(self, utterance: Utterance, samples: int) -> None:
        """Let `samples` more come."""


class Utterance:
    """State of one `say`. Reports of the worker go in, messages for the client come out."""

    def __init__(
        self, request: Message, voice: Voicepack, owner: Owner, now: Callable[[], float]
    ) -> None:
        self.id: int = request["id"]
        self.request = request
        self.voice = voice
        self.owner = owner
        self.state: State = "queued"
        self.offset = 0
        """Samples sent so far."""
        self.chars = 0
        """Characters received so far."""
        self.pieces = 0
        """Messages they came in."""
        self.text_final = False
        self.waiting_text: list[Text] = []
        self.source: Source | None = None
        self.outcome: str | None = None
        """Type of the terminal message, once it was sent."""
        self.error_code: str | None = None
        self.ttfa_ms: float | None = None
        self.queue_ms = 0.0
        self.stats: dict[str, float] = {}
        self.cold = False
        self.said_at = now()
        self._now = now
        self._rate: int = request["sample_rate"]
        self.frame_samples = frame_samples(self._rate, request["frame_ms"])
        self._sample_bytes = SAMPLE_BYTES[request["encoding"]]
        self._framer = Framer(self.frame_samples * self._sample_bytes)
        self._pacer = self._make_pacer()
        self._received = 0
        self._drained = 0
        self._marks: deque[tuple[int, int, int]] = deque()
        self._reached: deque[tuple[int, int]] = deque()  # (offset, character) at chunks' ends
        self._passed = (0, 0)  # the last of them that was sent
        self._done: Message | None = None
        self.write(Text(request["text"], request["final"], False))

    # what the client says ----------------------------------------------------------------

    def write(self, text: Text) -> None:
        """Take a piece of the text."""
        self.chars += len(text.text)
        self.pieces += 1
        self.text_final = text.final
        if self.source is None:
            self.waiting_text.append(text)
        else:
            self.source.write(self, text)

    def pause(self) -> None:
        """Close the gate."""
        if self._pacer is not None:
            self._pacer.pause(self._now(), self.offset)
        self._tell("pause", "paused")

    def resume(self) -> None:
        """Open it again."""
        if self._tell("resume", "resumed"):
            self.owner.wake()

    def stop(self) -> None:
        """End it; nothing more is sent."""
        if self._tell("stop", "stopped"):
            self._end("stopped")

    def fail(self, error: CosydError) -> None:
        """End it with an error."""
        if self._go("fail"):
            self.error_code = error.code
            self.owner.send(
                {
                    "type": "failed",
                    "id": self.id,
                    "code": error.code,
                    "message": error.message,
                    "retryable": error.retryable,
                }
            )
            self._end("failed")

    def abandon(self) -> None:
        """The client is gone: end it and tell nobody."""
        if self._go("stop"):
            self._end("stopped")

    # what the model and the worker say ---------------------------------------------------

    @property
    def position(self) -> tuple[float, int]:
        """Seconds of audio sent so far, and the character reached."""
        return self.offset / self._rate, self._text_end()

    @property
    def window_samples(self) -> int:
        """The worker's first credit."""
        return max(round(WINDOW_S * self._rate), 2 * self.frame_samples)

    def begin(self, source: Source, *, cold: bool, queue_ms: float, load_ms: float) -> None:
        """Its turn has come."""
        self._go("begin")
        self.source, self.cold, self.queue_ms = source, cold, queue_ms
        self.owner.send(
            {
                "type": "started",
                "id": self.id,
                "voice": self.voice.name,
                "model": self.voice.model,
                "sample_rate": self._rate,
                "channels": 1,
                "encoding": self.request["encoding"],
                "frame_samples": self.frame_samples,
                "cold": cold,
                "queue_ms": round(queue_ms, 3),
                "load_ms": round(load_ms, 3),
            }
        )

    def on_sentence(self, report: Message) -> None:
        """A sentence begins at an offset."""
        if self.request["marks"]:
            self._marks.append((report["offset"], report["start"], report["end"]))

    def on_chunk(self, report: Message) -> None:
        """Audio has come."""
        self._framer.push(report["pcm"])
        self._received += len(report["pcm"]) // self._sample_bytes
        self._reached.append((self._received, report["text_end"]))
        self.owner.wake()

    def on_done(self, report: Message) -> None:
        """No more audio will come."""
        self._done = report
        self.owner.wake()

    # what the connection pulls -----------------------------------------------------------

    def pull(self) -> list[Message] | float | None:
        """The next messages to send; or seconds to wait for them; or None: until it wakes."""
        if self.state not in GATE_OPEN:
            return None
        if not self._frame_ready():
            if self._done is not None:
                self._finish()
            return None
        wait_s = self._wait_s()
        return wait_s if wait_s > 0 else [*self._due_marks(), self._frame()]

    def _frame_ready(self) -> bool:
        held = self._framer.buffered_bytes
        return held >= self._framer.frame_bytes or (self._done is not None and held > 0)

    def _wait_s(self) -> float:
        if self._pacer is None:
            return 0.0
        return self._pacer.wait_s(self._now(), self.offset, self.frame_samples)

    def _frame(self) -> Message:
        held = self._framer.buffered_bytes
        pcm = self._framer.pop() or self._framer.flush()
        message = {"type": "audio", "id": self.id, "offset": self.offset, "pcm": pcm}
        if self.ttfa_ms is None:
            self.ttfa_ms = (self._now() - self.said_at) * 1000
        self.offset += self.frame_samples
        while self._reached and self._reached[0][0] <= self.offset:
            self._passed = self._reached.popleft()
        self._give_back((held - self._framer.buffered_bytes) // self._sample_bytes)
        return message

    def _give_back(self, samples: int) -> None:
        """Turn what was drained into credit, an eighth of the window at a time."""
        self._drained += samples
        if self._done is None and self.source and self._drained >= self.window_samples // 8:
            self.source.grant(self, self._drained)
            self._drained = 0

    def _due_marks(self, until: float | None = None) -> list[Message]:
        end = self.offset + self.frame_samples if until is None else until
        due = []
        while self._marks and self._marks[0][0] < end:
            offset, start, stop = self._marks.popleft()
            due.append(
                {
                    "type": "mark",
                    "id": self.id,
                    "kind": "sentence",
                    "offset": offset,
                    "start": start,
                    "end": stop,
                }
            )
        return due

    def _finish(self) -> None:
        assert self._done is not None
        self._go("finish")
        audio_ms = self._done["samples"] / self._rate * 1000
        self.stats = {
            "ttfa_ms": round(self.ttfa_ms or 0.0, 3),
            "synth_ms": round(self._done["synth_ms"], 3),
            "audio_ms": round(audio_ms, 3),
            "rtf": round(self._done["synth_ms"] / audio_ms, 4) if audio_ms else 0.0,
        }
        for mark in self._due_marks(float("inf")):
            self.owner.send(mark)
        samples = self._done["samples"]
        self.owner.send(
            {"type": "finished", "id": self.id, "samples": samples, "stats": self.stats}
        )
        self._end("finished")

    # ---------------------------------------------------------------------------------------

    def _make_pacer(self) -> Pacer | None:
        if self.request["pace"] != "realtime":
            return None
        lead = max(round(self._rate * REALTIME_LEAD_MS / 1000), self.frame_samples)
        return Pacer(self._rate, lead)

    def _go(self, event: Event) -> bool:
        after = UTTERANCE.get((self.state, event))
        self.state = after or self.state
        return after is not None

    def _tell(self, event: Event, kind: str) -> bool:
        """Answer a control message, if it is a transition."""
        if not self._go(event):
            return False
        self.owner.send(
            {"type": kind, "id": self.id, "offset": self.offset, "text_end": self._text_end()}
        )
        return True

    def _text_end(self) -> int:
        """The character reached at `offset`, between the ends of the chunks around it."""
        if not self._reached:
            return self._passed[1]
        (from_offset, from_char), (to_offset, to_char) = self._passed, self._reached[0]
        share = (self.offset - from_offset) / max(1, to_offset - from_offset)
        return round(from_char + (to_char - from_char) * share)

    def _end(self, outcome: str) -> None:
        self.outcome = outcome
        self.waiting_text.clear()
        self.owner.ended(self)


def facts(utterance: Utterance) -> dict[str, Any]:
    """What a log may say about an utterance."""
    return {
        "id": utterance.id,
        "voice": utterance.voice.name,
        "outcome": utterance.outcome,
        "code": utterance.error_code,
        "chars": utterance.chars,
        "cold": utterance.cold,
        "begun": utterance.state in BEGUN or utterance.source is not None,
        **utterance.stats,
    }
