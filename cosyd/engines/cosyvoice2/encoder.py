"""Speech tokens to the mean of the flow: two stacks of attention with relative positions.

Embedded tokens look three ahead once, pass the first stack, are doubled in time (25 to 50 rows
a second) and pass the second stack. Scores are content + position:
(q_i + u)·k_j + (q_i + v)·p_(i-j), where p_r is a projection of the sinusoids of r.
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
    Count,
    Linear,
    Loader,
    Norm,
    Span,
    span,
    windows,
)

if TYPE_CHECKING:
    from torch import Tensor

_EMBED_EPS: Final = 1e-5
_LAYER_EPS: Final = 1e-12
_LEAK: Final = 0.01
_CONV_TAPS: Final = 3


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """Sizes of the encoder.

    Attributes:
        input_width: width of a token's embedding.
        width: width of both stacks.
        heads: attention heads; they divide the width.
        ffn: inner width of the feed-forward layers.
        blocks: layers before the doubling.
        up_blocks: layers after it.
        lookahead: tokens seen ahead.
        ratio: rows out for each token.
        block_tokens: tokens that see each other when streaming.
    """

    input_width: int = 512
    width: int = 512
    heads: int = 8
    ffn: int = 2048
    blocks: int = 6
    up_blocks: int = 4
    lookahead: int = 3
    ratio: int = 2
    block_tokens: int = 25


@dataclass(frozen=True, slots=True)
class _Positions:
    """What relative positions one call adds, and which of them each pair of rows uses.

    Attributes:
        sines: [new, C], sinusoids of the distances that are new since the last call.
        index: [count, end], the place of i - j among all distances so far.
    """

    sines: Tensor
    index: Tensor


class _Layer:
    """Attention with relative positions, then a feed-forward layer; each after a norm."""

    __slots__ = ("_heads", "_out", "_pos", "_qkv", "_slot", "_u", "_v", "ffn", "norms")

    def __init__(self, load: Loader, sizes: EncoderSizes) -> None:
        width = sizes.width
        attn, ffn = load.child("self_attn"), load.child("feed_forward")
        shape = (sizes.heads, width // sizes.heads)
        self._heads = sizes.heads
        self._slot = attn.prefix
        self._u = attn.tensor("pos_bias_u", *shape)[:, None]
        self._v = attn.tensor("pos_bias_v", *shape)[:, None]
        self._qkv = attn.fused(("linear_q", "linear_k", "linear_v"), width, width)
        self._pos = attn.linear("linear_pos", width, width, bias=False)
        self._out = attn.linear("linear_out", width, width)
        self.ffn = (ffn.linear("w_1", width, sizes.ffn), ffn.linear("w_2", sizes.ffn, width))
        self.norms = tuple(load.norm(name, width, _LAYER_EPS) for name in ("norm_mha", "norm_ff"))

    def __call__(self, x: Tensor, at: Span, positions: _Positions, cache: Cache | None) -> Tensor:
        """x: [1, T, C] -> [1, T, C]."""
        x = x + self._attend(self.norms[0](x), at, positions, cache)
        w1, w2 = self.ffn
        return x + w2(functional.silu(w1(self.norms[1](x))))

    def _attend(self, x: Tensor, at: Span, positions: _Positions, cache: Cache | None) -> Tensor:
        batch, count, width = x.shape
        qkv = self._qkv(x).view(batch, count, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        q, kv = qkv[0], qkv[1:]  # [1, H, T, D], [2, 1, H, T, D]
        p = self._pos(positions.sines).view(-1, self._heads, q.shape[-1]).transpose(0, 1)
        if cache is not None:
            kv = cache.append(self._slot + "kv", kv)
            p = cache.append(self._slot + "pos", p)
        bias = self._bias(q, p, at, positions.index)
        y = functional.scaled_dot_product_attention(q + self._u, kv[0], kv[1], attn_mask=bias)
        return self._out(y.transpose(1, 2).reshape(batch, count, width))

    def _bias(self, q: Tensor, p: Tensor, at: Span, index: Tensor) -> Tensor:
        """The position's part of the scores, [1, H, T, end], scaled, and the mask."""
        by_distance = (q + self._v) @ p.transpose(-1, -2)  # [1, H, T, distances]
        bias = by_distance.gather(-1, index.expand(*by_distance.shape[:2], -1, -1))
        bias = bias / math.sqrt(q.shape[-1])
        return bias if at.mask is None else bias + at.mask


class _Stack:
    """A linear layer and a norm, √width, and layers."""

    __slots__ = ("_layers", "_linear", "_norm", "_scale", "_width")

    def __init__(
        self, embed: Loader, layers: Loader, into: int, count: int, sizes: EncoderSizes
    ) -> None:
        self._linear = embed.linear("out.0", into, sizes.width)
        self._norm = embed.norm("out.1", sizes.width, _EMBED_EPS)
        self._width = sizes.width
        self._scale = math.sqrt(sizes.width)
        self._layers = tuple(_Layer(layers.child(str(i)), sizes) for i in range(count))

    def embed(self, x: Tensor) -> Tensor:
        """x: [1, T, in] -> [1, T, C]."""
        return self._norm(self._linear(x)) * self._scale

    def __call__(self, x: Tensor, at: Span, cache: Cache | None) -> Tensor:
        """x: [1, T, C], embedded -> [1, T, C]."""
        positions = _positions(at, self._width, x)
        for layer in self._layers:
            x = layer(x, at, positions, cache)
        return x


def _positions(at: Span, width: int, like: Tensor) -> _Positions:
    """The new distances of a call, ascending from the lowest that any row may use.

    A row sees at most block - 1 rows ahead; lower distances only meet the mask, so the lowest
    one stands for them.
    """
    ahead = (at.count if at.block is None else at.block) - 1
    distances = torch.arange(at.start if at.start else -ahead, at.end, device=like.device)
    rows = torch.arange(at.start, at.end, device=like.device)[:, None]
    index = rows - torch.arange(at.end, device=like.device) + ahead
    return _Positions(_sines(distances, width).to(like.dtype), index.clamp_(min=0))


def _sines(distances: Tensor, width: int) -> Tensor:
    """distances: [N] -> float32 [N, width]: sin in the even columns, cos in the odd ones."""
    even = torch.arange(0, width, 2, dtype=torch.float32, device=distances.device)
    angles = distances.float()[:, None] * torch.exp(even * (-math.log(10000.0) / width))
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


class Encoder:
    """The whole encoder; immutable. What a stream keeps is in its `Cache`."""

    __slots__ = ("_ahead", "_conv", "_final", "_first", "_second", "_up", "sizes")

    sizes: EncoderSizes
    _ahead: Linear
    _conv: CausalConv
    _up: CausalConv
    _first: _Stack
    _second: _Stack
    _final: Norm

    def __init__(self, load: Loader, sizes: EncoderSizes) -> None:
        width, ahead = sizes.width, load.child("pre_lookahead_layer")
        self.sizes = sizes
        self._first = _Stack(
            load.child("embed"), load.child("encoders"), sizes.input_width, sizes.blocks, sizes
        )
        # The first convolution sees only ahead: as a causal one it would be late by `lookahead`.
        self._ahead = ahead.conv("conv1", width, width, sizes.lookahead + 1).linear
        self._conv = ahead.conv("conv2", width, width, _CONV_TAPS)
        self._up = load.conv("up_layer.conv", width, width, 2 * sizes.ratio + 1)
        self._second = _Stack(
            load.child("up_embed"), load.child("up_encoders"), width, sizes.up_blocks, sizes
        )
        self._final = load.norm("after_norm", width, _EMBED_EPS)

    def __call__(
        self,
        x: Tensor,
        context: Tensor | None,
        *,
        start: int = 0,
        chunked: bool,
        cache: Cache | None = None,
        counter: Count | None = None,
    ) -> Tensor:
        """Encode tokens start … start + T - 1.

        Args:
            x: [1, T, in], embedded tokens.
            context: [1, lookahead, in], the tokens after them; None at the end of the speech.
            start: tokens encoded by earlier calls, whose state is in `cache`.
            chunked: rows see only their block and what is before it.
            cache: grows by T tokens; None keeps nothing.
            counter: told "encoder" rows (tokens) and "encoder_up" rows.

        Returns:
            [1, ratio · T, width], after the last norm.
        """
        count, ratio = x.shape[1], self.sizes.ratio
        block = self.sizes.block_tokens if chunked else None
        x = self._look_ahead(x, context, cache)
        at = span(start, count, block, x.device, counter, x.dtype)
        at.note("encoder", count)
        x = self._first(x, at, cache)
        x = self._up(x.repeat_interleave(ratio, dim=1), cache)
        start, count, block = start * ratio, count * ratio, block and block * ratio
        at = span(start, count, block, x.device, counter, x.dtype)
        at.note("encoder_up", count)
        return self._final(self._second(self._second.embed(x), at, cache))

    def _look_ahead(self, x: Tensor, context: Tensor | None, cache: Cache | None) -> Tensor:
        """Embed and let each row see `lookahead` rows ahead; zeros after the last one."""
        count, ahead = x.shape[1], self.sizes.lookahead
        if context is None:
            x = functional.pad(self._first.embed(x), (0, 0, 0, ahead))
        else:
            x = self._first.embed(torch.cat((x, context), dim=1))
        seen = functional.leaky_relu(self._ahead(windows(x, ahead + 1)), _LEAK)
        return x[:, :count] + self._conv(seen, cache)
