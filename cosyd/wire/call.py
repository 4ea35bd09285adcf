"""A management request and its answer."""

from __future__ import annotations

from cosyd.errors import CosydError
from cosyd.wire.messages import Message


class Call:
    """One management request and, once it came, its answer."""

    def __init__(self, answer: str) -> None:
        self.expected = answer
        self.answer: Message | None = None
        self.error: CosydError | None = None

    @property
    def done(self) -> bool:
        """Whether the answer or an error has arrived."""
        return self.answer is not None or self.error is not None

    def result(self) -> Message:
        """The answer. Raises the error that came instead."""
        if self.error is not None:
            raise self.error
        assert self.answer is not None
        return self.answer
