"""Cutting a sentence into segments: the first one short, none too long for an engine."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import NamedTuple

from cosyd.text.characters import safe_cut, weight


class Budget(NamedTuple):
    """How long a segment may be; all in weights of characters (see `characters.weight`)."""

    whole: int
    """What is left of the sentence stays in one piece up to this."""
    low: int
    """No cut before this."""
    soft: int
    """Otherwise the cut is at most here."""
    early: bool = False
    """Take the first good cut rather than the last: sound soon."""


BUDGETS = (
    Budget(whole=40, low=12, soft=50, early=True),
    Budget(whole=90, low=24, soft=75),
    Budget(whole=150, low=48, soft=130),
    Budget(whole=200, low=60, soft=180),
)
"""For the first, second, … segment of an utterance; the last one for all later. Each can be made
while the one before it is heard, at a third of real time."""
MAX_WEIGHT = max(max(budget.whole, budget.soft) for budget in BUDGETS)
REST = 8
"""No cut leaves less than this behind."""

_CLAUSE = re.compile(r"[,;:](?=\s)[\s]*|[，；：、—][”’」』）)]*|\s[–-](?=\s)|\s(?=[(\[“])")
_CONJUNCTION = re.compile(
    r"\s(?=(?:and|but|or|because|which|who|that|when|where|while|if|unless|although|though|"
    r"since|until|before|after|so|than|with|without|from|into|by|to|for|in|on|at|of)\s)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"(?<!\d)\s+(?!\d)")
_ANY_SPACE = re.compile(r"\s+")
_INNER = re.compile(r"[/?&=._~-]+")


def segment_ends(text: str, index: int, budgets: tuple[Budget, ...] = BUDGETS) -> list[int]:
    """Where the segments of the sentence `text` end; `index` segments came before it.

    Every segment's weight is at most its budget's `whole` or `soft`, whichever is more.
    """
    weights = [0, *accumulate(weight(char) for char in text)]
    ends: list[int] = []
    start = 0
    while start < len(text):
        budget = budgets[min(index + len(ends), len(budgets) - 1)]
        start = _cut(text, start, weights, budget)
        ends.append(start)
    return ends


def _cut(text: str, start: int, weights: list[int], budget: Budget) -> int:
    if weights[-1] - weights[start] <= budget.whole:
        return len(text)
    low = _position(weights, start, budget.low)
    high = _position(weights, start, budget.soft)
    last = min(high, _position(weights, 0, weights[-1] - REST))
    for pattern, early in (
        (_CLAUSE, budget.early),
        (_CONJUNCTION, False),
        (_SPACE, False),
        (_ANY_SPACE, False),
        (_INNER, False),
    ):
        cuts = [m.end() for m in pattern.finditer(text, start, high + 1) if low <= m.end() <= last]
        if cuts:
            return cuts[0] if early else cuts[-1]
    return safe_cut(text, max(high, start + 1), start)


def _position(weights: list[int], start: int, budget: int) -> int:
    """The last position whose weight from `start` is at most `budget`."""
    target = weights[start] + budget
    low, high = start, len(weights) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if weights[middle] <= target:
            low = middle
        else:
            high = middle - 1
    return low
