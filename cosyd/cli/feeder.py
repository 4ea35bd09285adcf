"""Feeds a stream of text to an utterance that is being spoken already."""

from __future__ import annotations

from contextlib import suppress
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

from cosyd.cli.failure import Failure, Usage
from cosyd.cli.source import Piece, Stream, pieces
from cosyd.errors import CosydError

if TYPE_CHECKING:
    from cosyd.client.sync import Utterance

AHEAD_CHARS: Final = 200_000
"""Most that is sent ahead of the voice, about three hours: `yes | cosy say` fills nobody up."""


PATIENCE_S: Final = 5.0
"""A voice that does not move for so long gets one more piece all the same: perhaps it waits for
a sentence's end, or what it has got is nothing that can be spoken."""


class Feeder(Thread):
    """A thread that reads the stream and writes to the utterance until either ends."""

    def __init__(
        self,
        utterance: Utterance,
        stream: Stream,
        ahead: int = AHEAD_CHARS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(name="feeder", daemon=True)  # may be reading when the command ends
        self._utterance = utterance
        self._stream = stream
        self._ahead = ahead
        self._patience_s = patience_s
        self._room = Condition()
        self._position = 0
        self.text = ""
        """All that was sent."""
        self.error: Failure | CosydError | None = None
        """Why it ended the utterance early."""

    def run(self) -> None:
        """Feed; what goes wrong stops the utterance and is kept in `error`."""
        try:
            self._feed()
        except OSError as error:
            self._give_up(Failure(f"{self._stream.name}: {error.strerror}"))
        except (Failure, CosydError) as error:
            self._give_up(error)

    def make_room(self) -> None:
        """The voice has moved on: let the thread send more if it waits for that."""
        if len(self.text) - self._position >= self._ahead and (marks := self._utterance.marks):
            with self._room:
                self._position = marks[-1].end
                self._room.notify()

    def _feed(self) -> None:
        for piece in pieces(self._stream):
            self._write(piece)
        if not self.text.strip():
            raise Usage(f'nothing to say, {self._stream.name} is empty: type `cosy say "Hello"`')
        self._utterance.end()

    def _write(self, piece: Piece) -> None:
        with self._room:
            self._room.wait_for(
                lambda: len(self.text) - self._position < self._ahead, self._patience_s
            )
            self.text += piece.text
        self._utterance.write(piece.text, flush=piece.flush)

    def _give_up(self, error: Failure | CosydError) -> None:
        self.error = error
        with suppress(CosydError):  # it has ended already
            self._utterance.stop()
