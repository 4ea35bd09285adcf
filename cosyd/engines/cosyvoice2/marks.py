"""How far in its text a segment's sound has come: an estimate, exact where the segment ends.

The model does not tell which token speaks which character. Text tokens take about the same time
each, so the place is found by counting: within a segment whose speech tokens are all there by
their number, before that by what earlier segments took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from cosyd.engines.base import Chunk, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cosyd.engines.cosyvoice2.front import Unit

PACE: Final = 7.0
"""Speech tokens per text token: of English and Chinese alike, before anything is known."""
_LAST_SHARE: Final = 0.02
"""Of a segment, what an estimate leaves for its last sound."""


class Place:
    """Where an utterance is in its text; goes on from segment to segment."""

    def __init__(self) -> None:
        self.reached = 0
        """Characters spoken."""
        self._spoken = 0.0  # text tokens of this segment
        self._pace = PACE

    def begin(self) -> None:
        """A segment begins."""
        self._spoken = 0.0

    def learn(self, speech: int, text: int) -> None:
        """A segment took this many speech tokens for this many text tokens."""
        if speech and text:
            self._pace = speech / text

    def share(self, speech: float, units: Sequence[Unit], *, total: int | None) -> float:
        """Text tokens spoken after `speech` speech tokens of `total` ones; None: not known yet."""
        text = sum(len(unit.tokens) for unit in units)
        if total is not None:
            return text * min(1.0, speech / max(total, 1))
        return min(speech / self._pace, text * (1 - _LAST_SHARE))

    def cut(
        self, pcm: NDArray[np.float32], units: Sequence[Unit], to: float | None
    ) -> Iterator[Chunk]:
        """Chunks of a piece of the segment's sound, a new one wherever a sentence begins.

        Args:
            pcm: float32 [samples].
            units: the segment's text.
            to: text tokens spoken at its end; None: all, and the segment ends.
        """
        ends = [0, *accumulate(len(unit.tokens) for unit in units)]
        start, finish = self._spoken, max(self._spoken, ends[-1] if to is None else to)
        cuts: list[tuple[float, Span | None]] = [
            (at, unit.sentence)
            for at, unit in zip(ends, units, strict=False)
            if unit.sentence is not None and start <= at < finish
        ]
        if not cuts or cuts[0][0] > start:
            cuts.insert(0, (start, None))
        done = 0
        for (_, sentence), until in zip(cuts, [at for at, _ in cuts[1:]] + [finish], strict=True):
            share = (until - start) / (finish - start) if finish > start else 1.0
            stop = len(pcm) if until == finish else round(len(pcm) * share)
            all_of_it = until == finish and to is None
            position = units[-1].at.end if all_of_it else _at(until, ends, units)
            yield self._chunk(pcm[done:stop], position, sentence)
            done = stop
        self._spoken = finish

    def _chunk(self, pcm: NDArray[np.float32], position: int, sentence: Span | None) -> Chunk:
        before, self.reached = self.reached, max(self.reached, position)
        return Chunk(pcm, Span(before, self.reached), sentence)


def _at(spoken: float, ends: Sequence[int], units: Sequence[Unit]) -> int:
    """The character at a number of text tokens; at a unit's end, where it ends."""
    for unit, begin, end in zip(units, ends, ends[1:], strict=False):
        if begin < spoken <= end:
            start, stop = unit.at
            return start + int((stop - start) * (spoken - begin) / (end - begin))
    return units[0].at.start
