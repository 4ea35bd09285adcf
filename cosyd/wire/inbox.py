"""What arrived for one utterance and what its listener may have of it, sans-io."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from cosyd.errors import CosydError, Protocol, from_code
from cosyd.wire.messages import SAMPLE_BYTES, Message
from cosyd.wire.states import CLIENT_UTTERANCE, ClientState

INBOX_FRAMES: Final = 500
"""Frames an inbox takes before it counts as full (10 s at 20 ms)."""

COLLECT_FRAMES: Final = 90_000
"""The same while somebody waits for the result of an utterance that nobody listens to (30 min)."""

_DEATHS: Final = frozenset({"engine_crashed", "engine_timeout"})


class Mark(NamedTuple):
    """Where in the audio a piece of the text begins."""

    kind: str
    """ "sentence" or, of a newer daemon, "word"."""
    offset: int
    """Samples since the utterance began."""
    start: int
    """Character position in all the text of the utterance."""
    end: int


class Inbox:
    """One utterance as its client sees it."""

    def __init__(self, utterance_id: int, limit: int = INBOX_FRAMES) -> None:
        self.id = utterance_id
        self.limit = limit
        """Frames after which it is full."""
        self.state: ClientState = "said"
        self.started: Message | None = None
        """The `started` message: sample_rate (Hz), encoding, frame_samples, voice, model …"""
        self.frames: deque[bytes] = deque()
        """Frames in order, not yet taken."""
        self.marks: list[Mark] = []
        """All marks that arrived."""
        self.offset = 0
        """Samples received so far; after `stopped`, what the daemon said."""
        self.text_end = 0
        """Character position reached at the last `paused`, `resumed` or `stopped`."""
        self.taken = 0
        """Samples taken so far."""
        self.paused = False
        """Whether it is to be silent, by whoever's wish; our own flow control aside."""
        self.terminal: Message | None = None
        """The one message that ended it; None if the connection was lost."""
        self.error: CosydError | None = None
        """What a `failed` said, or how the connection was lost."""
        self.text_final = False
        """Whether the last of its text has been sent."""
        self.listened = False
        """Whether somebody iterates over it right now."""
        self.kept: list[tuple[str, Message]] | None = []
        """What was said of it, to be said once more; None: it may not be, or was already."""
        self.kept_bytes = 0
        self.wants_pause = False
        self.flow_paused = False
        self.dropped = False

    @property
    def ended(self) -> bool:
        """Whether the terminal message has arrived."""
        return self.state == "ended"

    @property
    def full(self) -> bool:
        """Whether it holds as many frames as it may."""
        return len(self.frames) >= self.limit

    @property
    def ready(self) -> bool:
        """Whether `take` has an answer: a frame, or the end.

        A paused utterance has none, even if the daemon has sent all of it before the pause.
        """
        if self.dropped:
            return True
        return not self.paused and (bool(self.frames) or self.ended)

    @property
    def stuck(self) -> bool:
        """Whether its end cannot come because its frames are not taken."""
        return self.full and not self.ended and not self.listened

    def keep(self, kind: str, fields: Message, size: int, room: int) -> None:
        """Remember a message of `size` bytes, if it is to be and `room` bytes are enough."""
        if self.kept is not None and size <= room:
            self.kept.append((kind, fields))
            self.kept_bytes += size
        else:
            self.forget()

    def forget(self) -> None:
        """It is not to be said once more."""
        self.kept, self.kept_bytes = None, 0

    def begin_again(self, utterance_id: int) -> list[tuple[str, Message]]:
        """It is said once more, under another id; what is to be said. Nothing of it was heard.

        `started` stays until the new one comes: the same request is spoken the same way.
        """
        said = self.kept or []
        self.forget()
        self.id, self.state = utterance_id, "said"
        self.marks.clear()
        self.text_end, self.flow_paused = 0, False
        return said

    def take(self) -> bytes | None:
        """The next frame, None at the end. Call when `ready`. Raises what `failed` said."""
        if self.frames and not self.dropped:
            frame = self.frames.popleft()
            self.taken += self._frame_samples()
            return frame
        if self.error is not None:
            raise self.error
        return None

    def unpadded(self, frame: bytes) -> bytes:
        """`frame`, the last one taken, without the padding, as far as that is known by now."""
        if self.terminal is None or self.terminal["type"] != "finished":
            return frame
        padding = max(0, self.taken - self.terminal["samples"])
        return frame[: len(frame) - padding * self._sample_bytes()]

    def drop(self) -> None:
        """Give nothing out any more: it was told to stop."""
        self.dropped = True
        self.frames.clear()
        self.forget()

    def receive(self, message: Message) -> None:
        """Apply one message of this id. Raises `Protocol` if it may not come now."""
        kind = message["type"]
        after = CLIENT_UTTERANCE.get((self.state, kind))
        if after is None:
            raise Protocol(f"the daemon sent {kind!r} for utterance {self.id} when {self.state}")
        self.state = after
        getattr(self, f"_on_{kind}")(message)

    def lose(self, error: CosydError) -> None:
        """The connection is gone: end as failed with `error`."""
        if not self.ended:
            self.forget()
            self.state, self.error = "ended", error
            self.paused = False  # the error must come through

    def _frame_samples(self) -> int:
        assert self.started is not None  # the state table lets no audio come before it
        return int(self.started["frame_samples"])

    def _sample_bytes(self) -> int:
        assert self.started is not None
        return SAMPLE_BYTES[self.started["encoding"]]

    def _on_started(self, message: Message) -> None:
        self.started = message

    def _on_audio(self, message: Message) -> None:
        if message["offset"] != self.offset:
            raise Protocol(f"audio of utterance {self.id} jumps to offset {message['offset']}")
        if len(message["pcm"]) != self._frame_samples() * self._sample_bytes():
            raise Protocol(f"audio of utterance {self.id} is not one frame long")
        self.offset += self._frame_samples()
        self.forget()
        if not self.dropped:
            self.frames.append(message["pcm"])

    def _on_mark(self, message: Message) -> None:
        self.marks.append(Mark(*(message[name] for name in Mark._fields)))

    def _on_paused(self, message: Message) -> None:
        self.paused = self.wants_pause or not self.flow_paused
        self.text_end = message["text_end"]

    def _on_resumed(self, message: Message) -> None:
        self.paused = self.wants_pause = False
        self.text_end = message["text_end"]

    def _on_stopped(self, message: Message) -> None:
        self.drop()  # a stop falls silent at once: what was not heard is dropped
        self.offset, self.text_end = message["offset"], message["text_end"]
        self.terminal = message

    def _on_finished(self, message: Message) -> None:
        self.terminal = message

    def _on_failed(self, message: Message) -> None:
        self.paused = False
        said = message["message"]
        if self.offset and message["code"] in _DEATHS:
            said += " (some of it was heard, so it was not repeated by itself)"
        self.error = from_code(message["code"], said)
        self.terminal = message
