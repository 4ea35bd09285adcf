"""What the causal parts share: masks in blocks, caches of rows and tails, causal convolutions.

Both stacks of the flow look at time in blocks: a row sees its own block and everything before
it. So the rows of a finished block never change again, and a call needs to compute only the new
ones, given the keys and values (rows) and the last inputs of each convolution (tails).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.tensors import Tensors

Count = Callable[[str, int], None]
"""Told (stage, rows) whenever rows are computed; the rows of all batch entries together."""

Check = Callable[[], None]
"""Called between one computation and the next; it raises to end them early."""


def go_on() -> None:
    """The `Check` that never ends anything."""


_GROWTH: Final = 1.5
_CPU_ROOM: Final = 1024
"""Rows there is room for at once on the CPU, where untouched memory costs nothing: growing in
small steps leaves gaps behind that nothing fits into, as much memory again."""


def room_for(rows: int, kept: int, device: torch.device) -> int:
    """How many rows a cache that is full makes room for, to hold `rows`; `kept` are copied."""
    least = _CPU_ROOM if device.type == "cpu" else 0
    return max(rows, int(kept * _GROWTH), least)


@dataclass(frozen=True, slots=True)
class Span:
    """The rows that one call computes.

    Attributes:
        start: rows computed by earlier calls; a multiple of `block`, or 0.
        count: rows of this call.
        block: rows that see each other; None when every row sees every row.
        mask: [count, start + count], added to scores: 0 where a row sees a row, -inf where not;
            None when all do.
        counter: told of the rows computed.
    """

    start: int
    count: int
    block: int | None
    mask: Tensor | None
    counter: Count | None

    @property
    def end(self) -> int:
        """Rows there are after this call."""
        return self.start + self.count

    def note(self, stage: str, rows: int) -> None:
        """Tell the counter, if there is one."""
        if self.counter is not None:
            self.counter(stage, rows)


def span(
    start: int,
    count: int,
    block: int | None,
    device: torch.device,
    counter: Count | None = None,
    dtype: torch.dtype = torch.float32,
) -> Span:
    """The span of rows start … start + count - 1, with its mask, of the type that scores have.

    Raises:
        ValueError: `start` is inside a block, so that earlier rows would change.
    """
    if start and (block is None or start % block):
        raise ValueError(f"a call cannot start at row {start} of blocks of {block}")
    if block is None or count <= block:
        return Span(start, count, block, None, counter)
    rows = torch.arange(start, start + count, device=device)[:, None]
    seen = torch.arange(start + count, device=device) // block <= rows // block
    return Span(start, count, block, mask_of(seen, dtype), counter)


def mask_of(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """bool, whether a row sees a row -> what is added to their score; made once for all layers."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, -math.inf)


class Rows:
    """A growing cache along the last axis but one; what is in it never changes.

    A fork shares the rows there are. It has no room of its own, so the first append to it
    copies, and neither side can write into what the other sees.
    """

    __slots__ = ("_data", "_length")

    def __init__(self, data: Tensor) -> None:
        self._data = data
        self._length = data.shape[-2]

    def __len__(self) -> int:
        return self._length

    @property
    def view(self) -> Tensor:
        """The rows, [..., length, width]."""
        return self._data[..., : self._length, :]

    def append(self, new: Tensor) -> Tensor:
        """Add rows [..., n, width]; returns all rows [..., length + n, width], as a view."""
        end = self._length + new.shape[-2]
        if end > self._data.shape[-2]:
            self._grow(room_for(end, self._length, new.device))
        self._data[..., self._length : end, :] = new
        self._length = end
        return self.view

    def _grow(self, room: int) -> None:
        *front, _, width = self._data.shape
        data = self._data.new_empty((*front, room, width))
        data[..., : self._length, :] = self.view
        self._data = data

    def fork(self) -> Rows:
        """Another cache that starts with the same rows."""
        return Rows(self.view)

    def packed(self) -> Rows:
        """The same rows without spare room, for keeping; shared where there is none."""
        full = self._data.untyped_storage().nbytes() == self.view.nbytes
        return Rows(self.view if full else self.view.clone())

    @property
    def nbytes(self) -> int:
        """Bytes of the rows; there may be room for more."""
        return self.view.nbytes


class Cache:
    """What one stack keeps between calls: rows of each attention, a tail of each convolution.

    Attributes:
        rows: slot -> rows; a slot is the tensors' prefix in the checkpoint.
        tails: slot -> last inputs [B, taps - 1, C]; replaced, never written into.
        hidden: whether attention's rows are what keys and values are computed of, every time
            anew. Rows are [n, B, C] then: kept so, all of them are one matrix.
    """

    __slots__ = ("rows", "tails")

    hidden = False

    def __init__(
        self, rows: dict[str, Rows] | None = None, tails: dict[str, Tensor] | None = None
    ) -> None:
        self.rows = {} if rows is None else rows
        self.tails = {} if tails is None else tails

    def append(self, slot: str, new: Tensor) -> Tensor:
        """Add rows [..., n, width] to a slot's; returns all of them."""
        rows = self.rows.get(slot)
        if rows is None:
            self.rows[slot] = Rows(new.contiguous())
            return new
        return rows.append(new)

    def continued(self, slot: str, x: Tensor, count: int) -> Tensor:
        """[B, T, C] -> [B, count + T, C]: the slot's last `count` rows before x, zeros at first."""
        tail = self.tails.get(slot)
        if tail is None:
            tail = x.new_zeros((x.shape[0], count, x.shape[2]))
        x = torch.cat((tail, x), dim=1)
        self.tails[slot] = x[:, x.shape[1] - count :].clone()
        return x

    def fork(self) -> Cache:
        """Another cache that goes on from here; both are independent from now on."""
        return type(self)({slot: rows.fork() for slot, rows in self.rows.items()}, dict(self.tails))

    def packed(self) -> Cache:
        """A copy without spare room, for keeping."""
        return type(self)(
            {slot: rows.packed() for slot, rows in self.rows.items()}, dict(self.tails)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        rows = sum(rows.nbytes for rows in self.rows.values())
        return rows + sum(tail.nbytes for tail in self.tails.values())


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q: [B, H, T, D], k and v: [B, H, S, D], mask: [T, S] or None -> [B, H, T, D].

    torch's own attention is no faster in bfloat16 than in float32 on a CPU; its products are. `@`
    would copy the keys transposed, which takes longer than the product.
    """
    if q.device.type != "cpu" or q.dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    queries = (q * (1 / math.sqrt(q.shape[-1]))).flatten(0, 1)
    scores = queries.bmm(k.flatten(0, 1).transpose(1, 2))
    if mask is not None:
        scores += mask
    torch.softmax(scores, -1, out=scores)
    return scores.bmm(v.flatten(0, 1)).view(q.shape)


class Linear:
    """y = x Wᵀ + b."""

    __slots__ = ("bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out]."""
        return functional.linear(x, self.weight, self.bias)


class Norm:
    """Layer norm over the last axis."""

    __slots__ = ("bias", "eps", "weight")

    def __init__(self, weight: Tensor, bias: Tensor, eps: float) -> None:
        self.weight = weight
        self.bias = bias
        self.eps = eps

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., C] -> [..., C]."""
        return functional.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)


class CausalConv:
    """A convolution over time that sees only the past: a matrix over windows of `taps` rows."""

    __slots__ = ("linear", "slot", "taps")

    def __init__(self, weight: Tensor, bias: Tensor, slot: str) -> None:
        self.taps = weight.shape[2]
        self.linear = Linear(weight.permute(0, 2, 1).flatten(1).contiguous(), bias)
        self.slot = slot

    def __call__(self, x: Tensor, cache: Cache | None) -> Tensor:
        """x: [B, T, in] -> [B, T, out]; the cache's tail comes before x, zeros without one."""
        if cache is None:
            x = functional.pad(x, (0, 0, self.taps - 1, 0))
        else:
            x = cache.continued(self.slot, x, self.taps - 1)
        return self.linear(windows(x, self.taps))


def windows(x: Tensor, taps: int) -> Tensor:
    """x: [B, T + taps - 1, C] -> [B, T, taps · C], row t being rows t … t + taps - 1 of x."""
    return x.unfold(1, taps, 1).transpose(2, 3).flatten(2)


class Loader:
    """Takes layers out of a checkpoint's tensors and puts them onto the device."""

    __slots__ = ("_device", "_dtype", "prefix", "tensors")

    def __init__(
        self, tensors: Tensors, device: torch.device, dtype: torch.dtype, prefix: str = ""
    ) -> None:
        self.tensors = tensors
        self.prefix = prefix
        self._device = device
        self._dtype = dtype

    def child(self, name: str) -> Loader:
        """The layers below a name."""
        return Loader(self.tensors.child(name), self._device, self._dtype, f"{self.prefix}{name}.")

    def tensor(self, name: str, *shape: int) -> Tensor:
        """A tensor that must have this shape.

        Raises:
            ModelLoadFailed: it is missing or has another shape.
        """
        return self.tensors.take(name, shape).to(self._device, self._dtype).contiguous()

    def linear(self, name: str, into: int, out: int, *, bias: bool = True) -> Linear:
        """A matrix [out, into] and, unless told otherwise, its bias."""
        weight = self.tensor(f"{name}.weight", out, into)
        return Linear(weight, self.tensor(f"{name}.bias", out) if bias else None)

    def fused(self, names: tuple[str, ...], into: int, out: int, *, bias: bool = True) -> Linear:
        """Several matrices [out, into] with the same input as one, outputs in their order."""
        parts = [self.linear(name, into, out, bias=bias) for name in names]
        biases = [part.bias for part in parts if part.bias is not None]
        return Linear(
            torch.cat([part.weight for part in parts]), torch.cat(biases) if biases else None
        )

    def norm(self, name: str, width: int, eps: float) -> Norm:
        """A layer norm."""
        return Norm(self.tensor(f"{name}.weight", width), self.tensor(f"{name}.bias", width), eps)

    def conv(self, name: str, into: int, out: int, taps: int) -> CausalConv:
        """A causal convolution."""
        weight = self.tensor(f"{name}.weight", out, into, taps)
        return CausalConv(weight, self.tensor(f"{name}.bias", out), self.prefix + name)
