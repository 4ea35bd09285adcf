"""The solver's step as a CUDA graph, and the caches that go in and out of it.

A graph has its cache at a fixed place, and there is one for all utterances: before each Euler
step the utterance's cache is copied there, after it the new rows are copied back. So that this
is three copies and not hundreds, all rows of a cache are one tensor, and all tails another; and
the rows are what keys and values are made of, which is a quarter of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from cosyd.engines.cosyvoice2.causal import Cache, Span, go_on, mask_of, span
from cosyd.engines.cosyvoice2.graphs import Bucket, Graphed, Work
from cosyd.engines.cosyvoice2.hidden import HiddenCache

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.causal import Check
    from cosyd.engines.cosyvoice2.cfm import Cfm

ROOM: Final = 2048
"""Mel frames, prompt and speech, that graphs look at: 41 s. Longer utterances go on without."""
SOLVE_BUCKETS: Final = (
    *((50, 256), (200, 512), (200, ROOM), (100, 512), (200, 1024), (50, 512), (100, 1024)),
    *((50, 1024), (100, ROOM), (50, ROOM)),
)
"""(new frames, all frames), the most useful first."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What an estimator keeps of one utterance at one moment.

    Attributes:
        slots: slot of an attention -> its place.
        tails: slot of a convolution -> where its tail begins, and its shape [B, taps - 1, C].
        width: of a hidden row, B · C.
    """

    slots: Mapping[str, int]
    tails: Mapping[str, tuple[int, tuple[int, int, int]]]
    width: int

    @property
    def tail_size(self) -> int:
        """Numbers in all tails together."""
        return sum(b * n * c for _, (b, n, c) in self.tails.values())


@torch.inference_mode()
def layout_of(cfm: Cfm) -> Layout:
    """Found by running the estimator once, on one frame."""
    probe, device = HiddenCache(cfm.no_rows()), cfm.plan[0].shifts[0].device
    rows = torch.zeros((2, 1, cfm.estimator.sizes.inputs), dtype=cfm.dtype, device=device)
    cfm.estimator(rows, cfm.plan[0].shifts, span(0, 1, None, device), probe)
    tails, begin = {}, 0
    for slot, tail in probe.tails.items():
        batch, count, width = tail.shape
        tails[slot] = begin, (batch, count, width)
        begin += tail.numel()
    return Layout(probe.places, tails, probe.data.shape[2])


class Stacked(HiddenCache):
    """One with all tails in one tensor, too.

    Args:
        layout: of the estimator.
        data: see `HiddenCache`.
        flat: [all tails]; replaced, never written into.
        length: rows of each slot that there are.
    """

    __slots__ = ("_layout", "flat")

    def __init__(self, layout: Layout, data: Tensor, flat: Tensor, length: int = 0) -> None:
        super().__init__(data)
        self.places, self.lengths = {**layout.slots}, [length] * len(layout.slots)
        self._layout = layout
        self.flat = flat

    def continued(self, slot: str, x: Tensor, count: int) -> Tensor:
        """See `Cache`."""
        begin, shape = self._layout.tails[slot]
        end = begin + shape[0] * shape[1] * shape[2]
        x = torch.cat((self.flat[begin:end].view(shape), x), dim=1)
        self.flat = torch.cat(
            (self.flat[:begin], x[:, x.shape[1] - count :].flatten(), self.flat[end:])
        )
        return x

    def take(self, new: Tensor, flat: Tensor) -> None:
        """Add rows [slots, n, B · C] to all slots; the tails are now these."""
        begin, end = self.length, self.length + new.shape[1]
        self.reserve(end)
        self.data[:, begin:end] = new
        self.lengths = [end] * len(self.lengths)
        self.flat = flat.clone()

    def _on(self, data: Tensor) -> Stacked:
        return Stacked(self._layout, data, self.flat, self.length)

    @property
    def nbytes(self) -> int:
        """See `Cache`."""
        return super().nbytes + self.flat.nbytes


class _Fixed(Cache):
    """The cache inside a graph: at a fixed place, with its length in a tensor.

    Args:
        layout: of the estimator.
        data: [slots, room + 1, B · C]; what is over goes to the last row.
        flat: [all tails].
        begin, count: int64 [1]: rows there are, and rows of this call that count.
        bucket: rows of this call, and rows that are seen.
    """

    __slots__ = ("_bucket", "_count", "_data", "_flat", "_layout", "_places", "_tails", "mask")

    hidden = True

    def __init__(
        self,
        layout: Layout,
        data: Tensor,
        flat: Tensor,
        begin: Tensor,
        count: Tensor,
        bucket: Bucket,
        block: int,
    ) -> None:
        super().__init__()
        self._layout, self._data, self._flat = layout, data, flat
        self._count, self._bucket = count, bucket
        self._tails: dict[int, Tensor] = {}  # how many rows -> which are the last that count
        steps = torch.arange(bucket.rows, device=data.device)
        rows, columns = begin + steps, torch.arange(bucket.room, device=data.device)
        last = torch.full_like(rows, data.shape[1] - 1)
        self._places = torch.where(steps < count, rows, last)
        # A row that is over sees all that counts: a row that saw nothing would become NaN.
        known = columns < begin + count
        self.mask = mask_of((columns // block <= rows[:, None] // block) & known, data.dtype)

    def append(self, slot: str, new: Tensor) -> Tensor:
        """See `Cache`: all of the bucket's room is seen, and masked."""
        rows = self._data[self._layout.slots[slot]]
        rows = rows.view(-1, *new.shape[1:])
        rows[self._places] = new
        return rows[: self._bucket.room]

    def continued(self, slot: str, x: Tensor, count: int) -> Tensor:
        """See `Cache`."""
        begin, shape = self._layout.tails[slot]
        tail = self._flat[begin : begin + shape[0] * shape[1] * shape[2]].view(shape)
        x = torch.cat((tail, x), dim=1)
        if count not in self._tails:
            self._tails[count] = self._count + torch.arange(count, device=x.device)
        tail.copy_(x.index_select(1, self._tails[count]))
        return x


class Solver(Graphed):
    """The Euler steps of any utterance, on fixed memory; see `cfm.Graphs`.

    Args:
        cfm: the solver that it is a part of.
        room: frames that fit into the fixed cache.
        most: the most new frames at once.
    """

    name = "the flow"
    buckets = SOLVE_BUCKETS

    def __init__(self, cfm: Cfm, *, room: int = ROOM, most: int = 200) -> None:
        super().__init__()
        sizes = cfm.estimator.sizes
        self._cfm = cfm
        self._layout = layout = layout_of(cfm)
        device = cfm.plan[0].shifts[0].device
        self._data = torch.zeros(
            (len(layout.slots), room + 1, layout.width), dtype=cfm.dtype, device=device
        )
        self._flat = torch.zeros(layout.tail_size, dtype=cfm.dtype, device=device)
        self._rows = torch.zeros((2, most, sizes.inputs), dtype=cfm.dtype, device=device)
        self._x = torch.zeros((1, most, sizes.mel), device=device)
        self._plan = tuple(
            (torch.stack(step.shifts), torch.full((1,), step.length, device=device))
            for step in cfm.plan
        )
        self._shifts = torch.zeros_like(self._plan[0][0])  # [stages, 1, 1, C]
        self._step = torch.zeros(1, device=device)
        self._begin = torch.zeros(1, dtype=torch.int64, device=device)
        self._count = torch.zeros(1, dtype=torch.int64, device=device)

    def cache(self) -> Cache:
        """See `cfm.Graphs`."""
        return Stacked(self._layout, self._cfm.no_rows(), torch.zeros_like(self._flat))

    def solve(
        self,
        x: Tensor,
        rows: Tensor,
        at: Span,
        caches: Sequence[Cache],
        check: Check = go_on,
    ) -> Tensor | None:
        """See `cfm.Graphs`: with the rows of `Cfm` and caches of `cache`."""
        stacked = [cache for cache in caches if isinstance(cache, Stacked)]
        chosen = self._recorded.choose(at.count, at.end)
        if chosen is None or len(stacked) != len(self._plan):
            return None
        bucket, replay = chosen
        self._begin.fill_(at.start)
        self._count.fill_(at.count)
        self._x[:, : bucket.rows] = 0
        self._x[:, : at.count] = x
        self._rows[:, : bucket.rows] = 0
        self._rows[:, : at.count] = rows
        for cache, (shifts, length) in zip(stacked, self._plan, strict=True):
            check()
            at.note("estimator", rows.shape[0] * at.count)
            self._enter(cache, bucket)
            self._shifts.copy_(shifts)
            self._step.copy_(length)
            replay()
            cache.take(self._data[:, at.start : at.end], self._flat)
        return self._x[:, : at.count].clone()

    def _enter(self, cache: Stacked, bucket: Bucket) -> None:
        self._data[:, : cache.length] = cache.data[:, : cache.length]
        # Masking would not help against what is left of a NaN: 0 · NaN.
        self._data[:, cache.length : bucket.room] = 0
        self._flat.copy_(cache.flat)

    def _work(self, bucket: Bucket) -> Work:
        cfm, mel = self._cfm, self._cfm.estimator.sizes.mel
        rows, x = self._rows[:, : bucket.rows], self._x[:, : bucket.rows]
        shifts = tuple(self._shifts)
        place = self._layout, self._data, self._flat, self._begin, self._count, bucket

        def work() -> None:
            cache = _Fixed(*place, cfm.estimator.sizes.block_frames)
            rows[:, :, :mel] = x
            at = Span(0, bucket.rows, None, cache.mask, None)
            guided, free = cfm.estimator(rows, shifts, at, cache).float().chunk(2)
            x.add_(self._step * ((1 + cfm.guidance) * guided - cfm.guidance * free))

        return work
