"""A cache that keeps what keys and values are made of, for a device with computing power to spare.

That is a quarter of them. All attentions' rows are one tensor: on the CPU so large a one is memory
of its own, of which only what is written exists, and which goes back when the utterance ends; a
thousand smaller ones would lie among everything else that is computed. On a card it is copied into
a graph's place, and out of it, in one go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosyd.engines.cosyvoice2.causal import Cache, room_for

if TYPE_CHECKING:
    from torch import Tensor


class HiddenCache(Cache):
    """A `Cache` whose attention rows are [n, B, C], what the layer's attention gets.

    Args:
        data: [slots, room, B · C], nothing in it yet.
    """

    __slots__ = ("data", "lengths", "places")

    hidden = True

    def __init__(self, data: Tensor) -> None:
        super().__init__()
        self.data = data
        self.places: dict[str, int] = {}
        """Slot -> where in `data`, in the order in which they were first appended to."""
        self.lengths: list[int] = []
        """Rows of each; equal, but in the middle of the estimator."""

    @property
    def length(self) -> int:
        """Rows of each slot."""
        return self.lengths[0] if self.lengths else 0

    def append(self, slot: str, new: Tensor) -> Tensor:
        """See `Cache`: rows [n, B, C] -> all of the slot's."""
        if slot not in self.places:
            self.places[slot] = len(self.places)
            self.lengths.append(0)
        place = self.places[slot]
        begin, end = self.lengths[place], self.lengths[place] + len(new)
        self.reserve(end)
        rows = self.data[place, :end].view(end, *new.shape[1:])
        rows[begin:] = new
        self.lengths[place] = end
        return rows

    def reserve(self, rows: int) -> None:
        """Make room for that many rows in all."""
        slots, room, width = self.data.shape
        if rows <= room:
            return
        kept = max(self.lengths)
        data = self.data.new_empty((slots, room_for(rows, kept, self.data.device), width))
        data[:, :kept] = self.data[:, :kept]
        self.data = data

    def fork(self) -> HiddenCache:
        """See `Cache`: without room of its own, so that its first rows go into a copy."""
        return self._on(self.data[:, : self.length])

    def packed(self) -> HiddenCache:
        """See `Cache`."""
        return self._on(self.data[:, : self.length].clone())

    def _on(self, data: Tensor) -> HiddenCache:
        other = HiddenCache(data)
        other.tails, other.places, other.lengths = {**self.tails}, {**self.places}, [*self.lengths]
        return other

    @property
    def nbytes(self) -> int:
        """See `Cache`: of the rows; there may be room for more."""
        rows = self.data[:, : self.length]
        return rows.nbytes + sum(tail.nbytes for tail in self.tails.values())
