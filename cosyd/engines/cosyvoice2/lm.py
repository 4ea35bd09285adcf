"""The language model's network: Qwen2 on embedded text and speech tokens, with KV caches.

One `forward` serves prefill, single steps and batches: the rows of all utterances stand one below
the other, the matrices see them all at once, attention runs for each utterance over its own cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cosyd.engines.cosyvoice2.layout import QWEN_CONFIG, Settings
from cosyd.engines.cosyvoice2.tensors import Tensors
from cosyd.errors import ModelLoadFailed

BLOCK = 256
"""A cache grows by this many positions."""
FEW_ROWS = 8
"""Up to here a product with float32 weights on the CPU waits for memory alone."""


@dataclass(frozen=True, slots=True)
class LmSizes:
    """The language model's sizes; the defaults are those of every release of 0.5B."""

    hidden: int = 896
    layers: int = 24
    heads: int = 14
    kv_heads: int = 2
    mlp: int = 4864
    text_vocabulary: int = 151_936
    speech_tokens: int = 6561
    """Ids that are sound; the three after them are end, task and fill."""
    text_run: int = 5
    """While text still arrives: text tokens in a row …"""
    speech_run: int = 15
    """… and the speech tokens that follow them."""
    rope_theta: float = 1e6
    norm_eps: float = 1e-6

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads

    @classmethod
    def read(cls, settings: Settings) -> LmSizes:
        """From a release's settings.

        Raises:
            ModelLoadFailed: a number is missing, or they do not fit each other.
        """
        runs = settings.integers("llm.mix_ratio")
        sizes = cls(
            hidden=settings.qwen_integer("hidden_size"),
            layers=settings.qwen_integer("num_hidden_layers"),
            heads=settings.qwen_integer("num_attention_heads"),
            kv_heads=settings.qwen_integer("num_key_value_heads"),
            mlp=settings.qwen_integer("intermediate_size"),
            text_vocabulary=settings.qwen_integer("vocab_size"),
            speech_tokens=settings.integer("llm.speech_token_size"),
            text_run=runs[0],
            speech_run=runs[-1],
            rope_theta=settings.qwen_number("rope_theta"),
            norm_eps=settings.qwen_number("rms_norm_eps"),
        )
        if sizes.hidden % (2 * sizes.heads) or sizes.heads % sizes.kv_heads or len(runs) != 2:
            raise ModelLoadFailed(f"{QWEN_CONFIG}: the sizes do not fit: fetch the file again.")
        return sizes


class KvCache:
    """One utterance's keys and values, and how many positions there are."""

    __slots__ = ("keys", "length", "values")

    def __init__(self, sizes: LmSizes, device: torch.device, dtype: torch.dtype) -> None:
        shape = (sizes.layers, sizes.kv_heads, 0, sizes.head)
        self.keys = torch.empty(shape, device=device, dtype=dtype)  # [layers, KV heads, room, D]
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def reserve(self, positions: int) -> None:
        """Make room for this many more positions."""
        more = self.length + positions - self.keys.shape[2]
        if more > 0:
            blocks = BLOCK * -(-more // BLOCK)
            self.keys = F.pad(self.keys, (0, 0, 0, blocks))
            self.values = F.pad(self.values, (0, 0, 0, blocks))


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's weights; C = hidden, D = head, M = mlp."""

    norm_in: Tensor  # [C]
    qkv: Tensor  # [(heads + 2 KV heads) × D, C]
    qkv_bias: Tensor  # [(heads + 2 KV heads) × D]
    out: Tensor  # [C, heads × D]
    norm_mlp: Tensor  # [C]
    gate_up: Tensor  # [2 M, C]
    down: Tensor  # [C, M]


@dataclass(frozen=True, slots=True)
class Lm:
    """The network's weights; V = speech tokens + 3. Nothing changes after `load`."""

    sizes: LmSizes
    layers: tuple[Layer, ...]
    norm: Tensor  # [C]
    marks: Tensor  # [2, C]: start of sequence, task
    text: Tensor  # [text vocabulary, C], on the CPU: a step never reads it, and it is a quarter
    speech: Tensor  # [V, C]
    head: Tensor  # [V, C]
    head_bias: Tensor  # [V]
    frequencies: Tensor  # [D / 2] float32

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
        turn = self._rotation(caches, counts)
        for cache, count in zip(caches, counts, strict=True):
            cache.reserve(count)
        x = rows
        for index, layer in enumerate(self.layers):
            x = x + self._attention(
                layer, index, _norm(x, layer.norm_in, self), turn, caches, counts
            )
            x = x + _mlp(layer, _norm(x, layer.norm_mlp, self))
        for cache, count in zip(caches, counts, strict=True):
            cache.length += count
        return _norm(x, self.norm, self)

    def logits(self, hidden: Tensor) -> Tensor:
        """[n, C] → float32 [n, V]."""
        return _linear(hidden, self.head, self.head_bias).float()

    def _rotation(self, caches: Sequence[KvCache], counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Cosine and sine [N, 1, D] of every row's position in its utterance."""
        positions = torch.tensor(
            [
                position
                for cache, count in zip(caches, counts, strict=True)
                for position in range(cache.length, cache.length + count)
            ],
            dtype=torch.float32,
        ).to(self.device)
        angles = torch.outer(positions, self.frequencies).repeat(1, 2)[:, None]
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

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
        heads, kv_heads = self.sizes.heads, self.sizes.kv_heads
        qkv = _linear(x, layer.qkv, layer.qkv_bias).view(len(x), -1, self.sizes.head)
        turned = _rotate(qkv[:, : heads + kv_heads], turn)
        queries = torch.split(turned[:, :heads], [*counts])
        keys = torch.split(turned[:, heads:].transpose(0, 1), [*counts], 1)
        values = torch.split(qkv[:, heads + kv_heads :].transpose(0, 1), [*counts], 1)
        mixed = []
        for cache, q, k, v in zip(caches, queries, keys, values, strict=True):
            start, end = cache.length, cache.length + len(q)
            cache.keys[index, :, start:end] = k
            cache.values[index, :, start:end] = v
            mixed.append(_attend(q, cache.keys[index, :, :end], cache.values[index, :, :end]))
        return _linear(torch.cat(mixed), layer.out)


def _norm(x: Tensor, weight: Tensor, lm: Lm) -> Tensor:
    """RMS norm [n, C], computed in float32 as the weights were trained with."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + lm.sizes.norm_eps)
    return weight * wide.to(x.dtype)


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions on [n, heads, D]: the halves of D are the two coordinates."""
    first, second = x.chunk(2, -1)
    return x * turn[0] + torch.cat((-second, first), -1) * turn[1]


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


def _mlp(layer: Layer, x: Tensor) -> Tensor:
    gate, up = _linear(x, layer.gate_up).chunk(2, -1)
    return _linear(F.silu(gate) * up, layer.down)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """[n, in] → [n, out]. For a few float32 rows the CPU's library is twice as fast transposed."""
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

    Raises:
        ModelLoadFailed: a tensor is missing, unknown or of another shape.
    """
    source = tensors if isinstance(tensors, Tensors) else Tensors("llm.pt", tensors)
    width, ids = sizes.hidden, sizes.speech_tokens + 3
    qwen = source.child("llm.model.model")
    source.take("llm.model.lm_head.weight", (sizes.text_vocabulary, width))  # writes no speech

    def put(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype)

    steps = torch.arange(0, sizes.head, 2, dtype=torch.float32)
    lm = Lm(
        sizes=sizes,
        layers=tuple(
            _load_layer(qwen.child(f"layers.{index}"), sizes, device, dtype)
            for index in range(sizes.layers)
        ),
        norm=put(qwen.take("norm.weight", (width,))),
        marks=put(source.take("llm_embedding.weight", (2, width))),
        text=qwen.take("embed_tokens.weight", (sizes.text_vocabulary, width)),
        speech=put(source.take("speech_embedding.weight", (ids, width))),
        head=put(source.take("llm_decoder.weight", (ids, width))),
        head_bias=put(source.take("llm_decoder.bias", (ids,))),
        frequencies=(1.0 / sizes.rope_theta ** (steps / sizes.head)).to(device),
    )
    source.done()
    return lm


def _load_layer(
    source: Tensors, sizes: LmSizes, device: torch.device | str, dtype: torch.dtype
) -> Layer:
    width, kv_width = sizes.hidden, sizes.kv_heads * sizes.head
    rows = {"q": width, "k": kv_width, "v": kv_width}
    attention, mlp = source.child("self_attn"), source.child("mlp")

    def put(*parts: Tensor) -> Tensor:
        return torch.cat(parts).to(device, dtype)

    return Layer(
        norm_in=put(source.take("input_layernorm.weight", (width,))),
        qkv=put(*(attention.take(f"{n}_proj.weight", (r, width)) for n, r in rows.items())),
        qkv_bias=put(*(attention.take(f"{n}_proj.bias", (r,)) for n, r in rows.items())),
        out=put(attention.take("o_proj.weight", (width, width))),
        norm_mlp=put(source.take("post_attention_layernorm.weight", (width,))),
        gate_up=put(
            mlp.take("gate_proj.weight", (sizes.mlp, width)),
            mlp.take("up_proj.weight", (sizes.mlp, width)),
        ),
        down=put(mlp.take("down_proj.weight", (width, sizes.mlp))),
    )
