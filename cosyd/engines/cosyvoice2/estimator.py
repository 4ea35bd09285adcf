"""The estimator: the velocity of the flow at one moment, for each mel frame.

One stage down, some in the middle, one up, all at the mel's rate: each is a causal residual
block that is told the moment, then transformer blocks. The first stage's output joins again
before the last one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from cosyd.engines.cosyvoice2.causal import (
    Cache,
    CausalConv,
    Linear,
    Loader,
    Span,
    attend,
)

if TYPE_CHECKING:
    from torch import Tensor

_EPS: Final = 1e-5
_TAPS: Final = 3
_TIME_SCALE: Final = 1000.0
_WIDER: Final = 4  # the time embedding's and the feed-forward layers' width over the channels


@dataclass(frozen=True, slots=True)
class EstimatorSizes:
    """Sizes of the estimator.

    Attributes:
        inputs: width of a row in: noisy mel, mean, speaker, conditioning, `mel` each.
        mel: mel bins out.
        channels: width of every stage.
        heads: attention heads.
        head_width: width of one head.
        blocks: transformer blocks of a stage.
        mid_stages: stages between the first and the last.
        block_frames: mel frames that see each other when streaming.
    """

    inputs: int = 320
    mel: int = 80
    channels: int = 256
    heads: int = 8
    head_width: int = 64
    blocks: int = 4
    mid_stages: int = 12
    block_frames: int = 50

    @property
    def attentions(self) -> int:
        """Of all stages together."""
        return self.blocks * (self.mid_stages + 2)


class _Block:
    """Convolution, norm, Mish."""

    __slots__ = ("_conv", "_norm")

    def __init__(self, load: Loader, into: int, out: int) -> None:
        self._conv = load.conv("block.0", into, out, _TAPS)
        self._norm = load.norm("block.2", out, _EPS)

    def __call__(self, x: Tensor, cache: Cache | None) -> Tensor:
        """x: [B, T, in] -> [B, T, out]."""
        return functional.mish(self._norm(self._conv(x, cache)))


class _Transformer:
    """Attention, then a feed-forward layer with an exact GELU; each after a norm."""

    __slots__ = ("_ffn", "_heads", "_norms", "_out", "_qkv", "_slot")

    def __init__(self, load: Loader, sizes: EstimatorSizes) -> None:
        width, inner = sizes.channels, sizes.heads * sizes.head_width
        self._slot = load.prefix
        self._heads = sizes.heads
        names = ("attn1.to_q", "attn1.to_k", "attn1.to_v")
        self._qkv = load.fused(names, width, inner, bias=False)
        self._out = load.linear("attn1.to_out.0", inner, width)
        self._ffn = (
            load.linear("ff.net.0.proj", width, _WIDER * width),
            load.linear("ff.net.2", _WIDER * width, width),
        )
        self._norms = (load.norm("norm1", width, _EPS), load.norm("norm3", width, _EPS))

    def __call__(self, x: Tensor, at: Span, cache: Cache | None) -> Tensor:
        """x: [B, T, C] -> [B, T, C]."""
        x = x + self._attend(self._norms[0](x), at, cache)
        into, out = self._ffn
        return x + out(functional.gelu(into(self._norms[1](x))))

    def _attend(self, x: Tensor, at: Span, cache: Cache | None) -> Tensor:
        batch, count, _ = x.shape
        if cache is not None and cache.hidden:
            return self._attend_hidden(x, cache.append(self._slot, x.transpose(0, 1)), at)
        qkv = self._qkv(x).view(batch, count, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        kv = qkv[1:]  # [2, B, H, T, D]
        if cache is not None:
            kv = cache.append(self._slot, kv)
        y = attend(qkv[0], kv[0], kv[1], at.mask)
        return self._out(y.transpose(1, 2).reshape(batch, count, -1))

    def _attend_hidden(self, x: Tensor, seen: Tensor, at: Span) -> Tensor:
        """x: [B, T, C], seen: [end, B, C], all rows so far -> [B, T, C]."""
        batch, weight = x.shape[0], self._qkv.weight
        width = weight.shape[0] // 3
        q = functional.linear(x, weight[:width]).view(batch, x.shape[1], self._heads, -1)
        kv = functional.linear(seen, weight[width:])
        k, v = kv.view(len(seen), batch, 2, self._heads, -1).permute(2, 1, 3, 0, 4)
        y = attend(q.transpose(1, 2), k, v, at.mask)
        return self._out(y.transpose(1, 2).reshape(batch, x.shape[1], -1))


class _Stage:
    """A residual block that is told the moment, then transformer blocks."""

    __slots__ = ("_blocks", "_first", "_residual", "_second", "moment")

    def __init__(self, load: Loader, into: int, sizes: EstimatorSizes) -> None:
        out, resnet, blocks = sizes.channels, load.child("0"), load.child("1")
        self.moment = resnet.linear("mlp.1", _WIDER * out, out)
        self._first = _Block(resnet.child("block1"), into, out)
        self._second = _Block(resnet.child("block2"), out, out)
        self._residual = _pointwise(resnet, "res_conv", into, out)
        self._blocks = tuple(_Transformer(blocks.child(str(i)), sizes) for i in range(sizes.blocks))

    def __call__(self, x: Tensor, shift: Tensor, at: Span, cache: Cache | None) -> Tensor:
        """x: [B, T, in], shift: [B or 1, 1, C] -> [B, T, C]."""
        h = self._second(self._first(x, cache) + shift, cache)
        x = h + self._residual(x)
        for block in self._blocks:
            x = block(x, at, cache)
        return x


def _pointwise(load: Loader, name: str, into: int, out: int) -> Linear:
    """A convolution of one tap is a linear layer."""
    weight = load.tensor(f"{name}.weight", out, into, 1)
    return Linear(weight[:, :, 0], load.tensor(f"{name}.bias", out))


class Estimator:
    """The whole estimator; immutable. What a stream keeps is in a `Cache` for each moment."""

    __slots__ = ("_down", "_final", "_mid", "_out", "_skip", "_time", "_up", "_up_conv", "sizes")

    sizes: EstimatorSizes
    _down: _Stage
    _skip: CausalConv
    _mid: tuple[_Stage, ...]
    _up: _Stage
    _up_conv: CausalConv
    _final: _Block
    _out: Linear
    _time: tuple[Linear, Linear]

    def __init__(self, load: Loader, sizes: EstimatorSizes) -> None:
        width, time = sizes.channels, load.child("time_mlp")
        self.sizes = sizes
        self._time = (
            time.linear("linear_1", sizes.inputs, _WIDER * width),
            time.linear("linear_2", _WIDER * width, _WIDER * width),
        )
        self._down = _Stage(load.child("down_blocks.0"), sizes.inputs, sizes)
        self._skip = load.conv("down_blocks.0.2", width, width, _TAPS)
        mid = load.child("mid_blocks")
        self._mid = tuple(_Stage(mid.child(str(i)), width, sizes) for i in range(sizes.mid_stages))
        self._up = _Stage(load.child("up_blocks.0"), 2 * width, sizes)
        self._up_conv = load.conv("up_blocks.0.2", width, width, _TAPS)
        self._final = _Block(load.child("final_block"), width, width)
        self._out = _pointwise(load, "final_proj", width, sizes.mel)

    def embed_time(self, t: Tensor) -> Tensor:
        """t: float32 [B], moments in 0 … 1 -> float32 [B, inputs], sines then cosines."""
        half = self.sizes.inputs // 2
        steps = torch.arange(half, dtype=torch.float32, device=t.device)
        angles = _TIME_SCALE * t[:, None] * torch.exp(steps * (-math.log(10000.0) / (half - 1)))
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    def time(self, t: Tensor) -> Tensor:
        """t: float32 [B] -> [B, 4 · channels], what the stages are told of the moment."""
        into, out = self._time
        return out(functional.silu(into(self.embed_time(t).to(into.weight.dtype))))

    def shifts(self, t: Tensor) -> tuple[Tensor, ...]:
        """t: float32 [B] -> for each stage, what the moment adds there, [B, 1, C]."""
        told = functional.mish(self.time(t))
        return tuple(stage.moment(told)[:, None] for stage in (self._down, *self._mid, self._up))

    def __call__(
        self, x: Tensor, shifts: tuple[Tensor, ...], at: Span, cache: Cache | None
    ) -> Tensor:
        """x: [B, T, inputs], the rows of `at` -> velocity [B, T, mel]; the cache grows by T."""
        at.note("estimator", x.shape[0] * at.count)
        down, *middle, up = shifts
        skip = self._down(x, down, at, cache)
        x = self._skip(skip, cache)
        for stage, shift in zip(self._mid, middle, strict=True):
            x = stage(x, shift, at, cache)
        x = self._up(torch.cat((x, skip), dim=-1), up, at, cache)
        return self._out(self._final(self._up_conv(x, cache), cache))
