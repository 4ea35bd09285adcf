"""The language model's network: Qwen2 on embedded text and speech tokens, with KV caches.

One `forward` serves prefill, single steps and batches: the rows of all utterances stand one below
the other, the matrices see them all at once, attention runs for each utterance over its own cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cosyd.engines.cosyvoice2 import int8
from cosyd.engines.cosyvoice2.lm_sizes import LmSizes
from cosyd.engines.cosyvoice2.tensors import Tensors

__all__ = ["KvCache", "Layer", "Lm", "LmSizes", "load", "with_int8"]

BLOCK = 256
"""A cache grows by this many positions."""
FEW_ROWS = 8
"""Up to here a product with float32 weights on the CPU waits for memory alone."""

Weight = Tensor | int8.Matrix
"""A matrix [out, in]."""


class KvCache:
    """One utterance's keys and values, and how many positions there are."""

    __slots__ = ("length", "rows")

    def __init__(self, sizes: LmSizes, device: torch.device, dtype: torch.dtype) -> None:
        shape = (sizes.layers, 2 * sizes.kv_heads, 0, sizes.head)
        self.rows = torch.empty(shape, device=device, dtype=dtype)
        """[layers, 2 KV heads, room, D]: keys, then values."""
        self.length = 0

    def reserve(self, positions: int) -> None:
        """Make room for this many more positions."""
        more = self.length + positions - self.rows.shape[2]
        if more > 0:
            self.rows = F.pad(self.rows, (0, 0, 0, BLOCK * -(-more // BLOCK)))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights; C = hidden, D = head, M = mlp."""

    norm_in: Tensor  # [C]
    qkv: Weight  # [(heads + 2 KV heads) × D, C]
    qkv_bias: Tensor  # [(heads + 2 KV heads) × D]
    out: Weight  # [C, heads × D]
    norm_mlp: Tensor  # [C]
    gate_up: Weight  # [2 M, C]
    down: Weight  # [C, M]


@dataclass(frozen=True, slots=True)
class Lm:
    """The network's weights; V = speech tokens + 3. Nothing changes after `load`."""

    sizes: LmSizes
    layers: tuple[Layer, ...]
    norm: Tensor  # [C]
    marks: Tensor  # [2, C]: start of sequence, task
    text: Tensor  # [text vocabulary, C], on the CPU: a step never reads it, and it is a quarter
    speech: Tensor  # [V, C]
    head: Weight  # [V, C]
    head_bias: Tensor  # [V]
    frequencies: Tensor  # [heads + 2 KV heads, D] float32, see `_frequencies`

    @property
    def device(self) -> torch.device:
        """Where all but the text embedding is."""
        return self.norm.device

    @property
    def dtype(self) -> torch.dtype:
        """Of weights, hidden states and caches."""
        return self.norm.dtype

    def cache(self) -> KvCache:
        """An empty cache for one utterance."""
        return KvCache(self.sizes, self.device, self.dtype)

    def embed_text(self, ids: Sequence[int]) -> Tensor:
        """Text tokens → [n, C]."""
        rows = self.text[torch.tensor([*ids], dtype=torch.long)]
        return rows.to(self.device, self.dtype)

    def embed_speech(self, ids: Sequence[int]) -> Tensor:
        """Speech tokens → [n, C]."""
        return self.speech[torch.tensor([*ids], dtype=torch.long, device=self.device)]

    def forward(self, rows: Tensor, caches: Sequence[KvCache], counts: Sequence[int]) -> Tensor:
        """Add new positions to every utterance.

        Args:
            rows: [N, C], the first utterance's new positions, then the second's, …
            caches: one per utterance, each only once; they grow.
            counts: how many of the N rows are each utterance's, 1 or more.

        Returns:
            [N, C] hidden states after the last norm.
        """
        turn = self.rotation(self._positions(caches, counts))
        for cache, count in zip(caches, counts, strict=True):
            cache.reserve(count)
        x = rows
        for index, layer in enumerate(self.layers):
            x = x + self._attention(
                layer, index, self.normed(x, layer.norm_in), turn, caches, counts
            )
            x = x + mlp(layer, self.normed(x, layer.norm_mlp))
        for cache, count in zip(caches, counts, strict=True):
            cache.length += count
        return self.normed(x, self.norm)

    def normed(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMS norm [n, C]; in 16 bits torch computes it in float32."""
        return F.rms_norm(x, (x.shape[-1],), weight, self.sizes.norm_eps)

    def logits(self, hidden: Tensor) -> Tensor:
        """[n, C] → float32 [n, V]."""
        return linear(hidden, self.head, self.head_bias).float()

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [N] in their utterances → what `rotated` multiplies with, [N, heads, D]."""
        angles = positions.float()[:, None, None] * self.frequencies
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def _positions(self, caches: Sequence[KvCache], counts: Sequence[int]) -> Tensor:
        return torch.tensor(
            [
                position
                for cache, count in zip(caches, counts, strict=True)
                for position in range(cache.length, cache.length + count)
            ]
        ).to(self.device)

    def _attention(
        self,
        layer: Layer,
        index: int,
        x: Tensor,
        turn: tuple[Tensor, Tensor],
        caches: Sequence[KvCache],
        counts: Sequence[int],
    ) -> Tensor:
        """[N, C] → [N, C]; writes the new keys and values behind the caches' ends."""
        heads = self.sizes.heads
        qkv = linear(x, layer.qkv, layer.qkv_bias).view(len(x), -1, self.sizes.head)
        turned = rotated(qkv, turn)
        queries = torch.split(turned[:, :heads], [*counts])
        new = torch.split(turned[:, heads:].transpose(0, 1), [*counts], 1)
        mixed = []
        for cache, q, kv in zip(caches, queries, new, strict=True):
            start, end = cache.length, cache.length + len(q)
            cache.rows[index, :, start:end] = kv
            mixed.append(_attend(q, *cache.rows[index, :, :end].chunk(2)))
        return linear(torch.cat(mixed) if len(mixed) > 1 else mixed[0], layer.out)


def rotated(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions on [n, heads, D]: the halves of D are the two coordinates."""
    return torch.addcmul(x * turn[0], x.roll(x.shape[-1] // 2, -1), turn[1])


def _frequencies(sizes: LmSizes) -> Tensor:
    """What a position turns each number by, float32 [heads + 2 KV heads, D].

    Values are not turned: 0. The first half of D is turned the other way round, so that the sine
    comes with the sign that it has there.
    """
    steps = torch.arange(0, sizes.head, 2, dtype=torch.float32)
    turns = 1.0 / sizes.rope_theta ** (steps / sizes.head)
    turned = torch.cat((-turns, turns)).expand(sizes.heads + sizes.kv_heads, -1)
    return F.pad(turned, (0, 0, 0, sizes.kv_heads))


def _attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One utterance's new queries [n, heads, D] over keys [KV heads, T, D] → [n, heads × D].

    The last n of the T positions are the queries' own; each sees itself and all before it.
    """
    new, past = len(q), keys.shape[1] - len(q)
    grouped = q.view(new, len(keys), -1, q.shape[-1])  # [n, KV heads, group, D]
    if new == 1:  # the heads of a group see the same keys: rows of one small matrix
        mixed = F.scaled_dot_product_attention(grouped, keys[None], values[None])
        return mixed.reshape(1, -1)
    queries = grouped.permute(2, 1, 0, 3)  # [group, KV heads, n, D]
    mask = None
    if past:
        mask = torch.ones(new, new + past, dtype=torch.bool, device=q.device).tril(past)
    mixed = F.scaled_dot_product_attention(
        queries,
        keys.expand(len(queries), -1, -1, -1),
        values.expand(len(queries), -1, -1, -1),
        attn_mask=mask,
        is_causal=mask is None,
    )
    return mixed.permute(2, 1, 0, 3).reshape(new, -1)


def mlp(layer: Layer, x: Tensor) -> Tensor:
    """A layer's second half on [n, C], without the norm before it."""
    gate, up = linear(x, layer.gate_up).chunk(2, -1)
    return linear(F.silu(gate) * up, layer.down)


def linear(x: Tensor, weight: Weight, bias: Tensor | None = None) -> Tensor:
    """[n, in] → [n, out]. For a few float32 rows the CPU's library is twice as fast transposed."""
    if isinstance(weight, int8.Matrix):
        out = weight(x)
        return out if bias is None else out.add_(bias)
    if x.device.type != "cpu" or x.dtype != torch.float32 or not 1 < len(x) <= FEW_ROWS:
        return F.linear(x, weight, bias)
    out = torch.mm(weight, x.T).T.contiguous()
    return out if bias is None else out + bias


def load(
    tensors: Mapping[str, Tensor] | Tensors,
    sizes: LmSizes,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Lm:
    """The network from the tensors of `llm.pt`.

    Args:
        tensors: as in the release, or as `with_int8` makes them.
        sizes: of the network.
        device: where to.
        dtype: of the weights; `torch.int8`, on the CPU only: of the matrices, the rest float32.

    Raises:
        ModelLoadFailed: a tensor is missing, unknown or of another shape.
    """
    source = tensors if isinstance(tensors, Tensors) else Tensors("llm.pt", tensors)
    width, ids = sizes.hidden, sizes.speech_tokens + 3
    qwen = source.child("llm.model.model")
    source.take("llm.model.lm_head.weight", (sizes.text_vocabulary, width))  # writes no speech
    loader = _Loader(sizes, torch.device(device), dtype)
    put = loader.put
    lm = Lm(
        sizes=sizes,
        layers=loader.layers(qwen),
        norm=put(qwen.take("norm.weight", (width,))),
        marks=put(source.take("llm_embedding.weight", (2, width))),
        text=qwen.take("embed_tokens.weight", (sizes.text_vocabulary, width)),
        speech=put(source.take("speech_embedding.weight", (ids, width))),
        head=loader.matrix(source, {"llm_decoder": (ids, width)}),
        head_bias=put(source.take("llm_decoder.bias", (ids,))),
        frequencies=_frequencies(sizes).to(device),
    )
    source.done()
    return lm


@dataclass(frozen=True, slots=True)
class _Loader:
    """Takes layers out of a checkpoint's tensors."""

    sizes: LmSizes
    device: torch.device
    dtype: torch.dtype

    def put(self, *parts: Tensor) -> Tensor:
        """Parts one below the other, of the type that what is no matrix has."""
        together = torch.cat(parts) if len(parts) > 1 else parts[0]
        if self.dtype == torch.int8:  # copied, or the matrices' file would stay mapped for it
            return together.to(self.device, torch.float32, copy=len(parts) == 1)
        return together.to(self.device, self.dtype)

    def matrix(self, source: Tensors, shapes: Mapping[str, tuple[int, int]]) -> Weight:
        """The weights of these names as one matrix."""
        parts = [(name, source.take(f"{name}.weight", shape)) for name, shape in shapes.items()]
        if self.dtype != torch.int8:
            return self.put(*(part for _, part in parts))
        return int8.Matrix(
            [
                int8.Rounded(part, source.take(f"{name}{_SCALE}", (len(part),)))
                if part.dtype == torch.int8
                else int8.rounded(part)
                for name, part in parts
            ]
        )

    def layers(self, qwen: Tensors) -> tuple[Layer, ...]:
        """All layers; matrices of 8 bits are packed by as many threads as torch may use."""
        threads = torch.get_num_threads() if self.dtype == torch.int8 else 1
        children = [qwen.child(f"layers.{index}") for index in range(self.sizes.layers)]
        with ThreadPoolExecutor(threads) as pool:
            return tuple(pool.map(self._layer, children))

    def _layer(self, source: Tensors) -> Layer:
        sizes, put = self.sizes, self.put
        width, kv_width = sizes.hidden, sizes.kv_heads * sizes.head
        rows = {"q_proj": width, "k_proj": kv_width, "v_proj": kv_width}
        attention, mlp = source.child("self_attn"), source.child("mlp")
        up = (sizes.mlp, width)
        return Layer(
            norm_in=put(source.take("input_layernorm.weight", (width,))),
            qkv=self.matrix(attention, {name: (count, width) for name, count in rows.items()}),
            qkv_bias=put(*(attention.take(f"{n}.bias", (count,)) for n, count in rows.items())),
            out=self.matrix(attention, {"o_proj": (width, width)}),
            norm_mlp=put(source.take("post_attention_layernorm.weight", (width,))),
            gate_up=self.matrix(mlp, {"gate_proj": up, "up_proj": up}),
            down=self.matrix(mlp, {"down_proj": (width, sizes.mlp)}),
        )


_SCALE = ".weight.scale"
"""What the scales of a matrix of 8 bits are called, after its name."""


def with_int8(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `llm.pt` with the matrices rounded to 8 bits, and the scales of their rows."""
    made = dict(tensors)
    for name in tensors:
        module = name.removesuffix(".weight")
        if module != name and module.endswith(("_proj", "llm_decoder")):
            made[name], made[module + _SCALE] = int8.rounded(tensors[name])
    return made
