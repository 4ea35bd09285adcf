"""What can be told about an utterance without waiting: the same for both clients."""

from __future__ import annotations

from cosyd.wire.inbox import Inbox, Mark


class Heard:
    """An utterance as far as it has arrived."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @property
    def id(self) -> int:
        """Its number on this connection."""
        return self._inbox.id

    @property
    def offset(self) -> int:
        """Samples received so far; of a stopped one, what the daemon had sent."""
        return self._inbox.offset

    @property
    def text_end(self) -> int:
        """Character position reached (estimated) at the last pause, resume or stop."""
        return self._inbox.text_end

    @property
    def paused(self) -> bool:
        """Whether it is paused, by whomever, as far as we have heard."""
        return self._inbox.paused

    @property
    def marks(self) -> list[Mark]:
        """Where sentences begin, as far as they have arrived: kind, offset, start, end."""
        return list(self._inbox.marks)
