"""How far what was understood is from what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Score(NamedTuple):
    """Errors (substituted, left out, put in) in a number of words or characters."""

    errors: int
    length: int

    @property
    def rate(self) -> float:
        """Errors ÷ length."""
        return self.errors / self.length


def score(said: Sequence[str], heard: Sequence[str]) -> Score:
    """The fewest edits that turn one into the other. Raises `ValueError` if nothing was said."""
    if not said:
        raise ValueError("nothing was said: there is nothing to score")
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j - 1] + (word != other), above[j] + 1, row[-1] + 1))
    return Score(row[-1], len(said))


def total(scores: Iterable[Score]) -> Score:
    """All of them as one text."""
    listed = list(scores)
    return Score(sum(each.errors for each in listed), sum(each.length for each in listed))
