"""Where an utterance of the language model is, and what a special token makes of that."""

from __future__ import annotations

from enum import Enum, IntEnum, auto


class Phase(Enum):
    """Where an utterance is."""

    WHOLE = auto()
    """All text was there at the start."""
    WAITING = auto()
    """Text is due, and there is not enough of it."""
    MIXED = auto()
    """A run of speech; more text follows."""
    LAST = auto()
    """All text has been fed."""
    DONE = auto()
    """No token follows."""


class Special(IntEnum):
    """The ids after the speech tokens."""

    END = 0
    OTHER_END = 1
    FILL = 2


AFTER = {
    (Phase.WHOLE, Special.END): Phase.DONE,
    (Phase.WHOLE, Special.OTHER_END): Phase.DONE,
    (Phase.WHOLE, Special.FILL): Phase.DONE,
    (Phase.MIXED, Special.FILL): Phase.WAITING,
    (Phase.LAST, Special.END): Phase.DONE,
}
"""What a special token leads to; one that is not here is drawn again without it."""
