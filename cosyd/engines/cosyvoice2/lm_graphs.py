"""The language model's step of one token, for many utterances, as CUDA graphs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from cosyd.engines.cosyvoice2 import lm as network
from cosyd.engines.cosyvoice2.decoding import Feed
from cosyd.engines.cosyvoice2.graphs import Bucket, Graphed, Work
from cosyd.engines.cosyvoice2.lm import KvCache, Layer, Lm
from cosyd.engines.cosyvoice2.sampling import NO_TOKEN
from cosyd.engines.cosyvoice2.speech_lm import RELEASED

SLOTS: Final = 16
"""Utterances that decode at once; more decode without graphs."""
ROOM: Final = 1536
"""Positions in a slot: 12 KiB each in 16 bits. A longer utterance goes on without graphs."""
DECODE_BUCKETS: Final = (
    *((1, 512), (SLOTS, ROOM), (1, ROOM), (4, 512), (SLOTS, 512), (2, 512), (8, 512)),
    *((4, ROOM), (8, ROOM), (2, ROOM)),
)
"""(utterances, positions), the most useful first: any fits into the second."""


class SlotCache(KvCache):
    """One utterance's keys and values in a slot of a `Decoder`; what outgrows it moves out."""

    def __init__(self, rows: Tensor, slot: int, free: Callable[[int], None]) -> None:
        # Not the base's: it would make memory of its own.
        self.rows, self.length = rows, 0
        self.slot = slot
        self._free = weakref.finalize(self, free, slot)

    @property
    def alive(self) -> bool:
        """Whether it is still in its slot."""
        return self._free.alive

    def reserve(self, positions: int) -> None:
        """See `KvCache`."""
        room = self.rows
        super().reserve(positions)
        if self.rows is not room:
            self._free()


class Decoder(Graphed):
    """Steps of one token for up to `slots` utterances, on keys and values in fixed places.

    Row r of a step is slot r; rows that are not fed compute something that nobody looks at, and
    write to the last position, which no utterance uses.

    Args:
        lm: the network.
        slots: utterances at once.
        room: positions of each.
    """

    name = "decoding"
    buckets = DECODE_BUCKETS

    def __init__(self, lm: Lm, *, slots: int = SLOTS, room: int = ROOM) -> None:
        super().__init__()
        sizes, device = lm.sizes, lm.device
        shape = (sizes.layers, slots, 2 * sizes.kv_heads, room, sizes.head)
        self._lm = lm
        self._room = room
        self._pool = torch.zeros(shape, device=device, dtype=lm.dtype)
        self._unused = [*range(slots)]
        # For each slot: token, position, whether the end is barred, the last tokens.
        self._ints = torch.zeros((slots, 3 + RELEASED.window), dtype=torch.int64, device=device)
        self._uniforms = torch.zeros((slots, 2), device=device)
        self._logp = torch.zeros((slots, len(lm.head)), device=device)
        self._tokens = torch.zeros(slots, dtype=torch.int64, device=device)

    def cache(self) -> KvCache:
        """A slot for one utterance, its own until it is dropped; plain memory if none is free."""
        if not self._unused:
            return self._lm.cache()
        slot = min(self._unused)
        self._unused.remove(slot)
        rows = self._pool[:, slot, :, :-1]
        rows.zero_()  # were a NaN left, masking it would not help: 0 · NaN
        return SlotCache(rows, slot, self._unused.append)

    def takes(self, cache: KvCache) -> bool:
        """See `decoding.Decoder`."""
        return isinstance(cache, SlotCache) and cache.alive and cache.length < self._room - 1

    @torch.inference_mode()
    def step(self, feeds: Sequence[Feed]) -> tuple[list[Tensor], list[int]]:
        """See `decoding.Decoder`."""
        slots = [feed.cache.slot for feed in feeds if isinstance(feed.cache, SlotCache)]
        rows, room = 1 + max(slots), 1 + max(feed.cache.length for feed in feeds)
        chosen = self._recorded.choose(rows, room)
        bucket, work = chosen or (Bucket(rows, room), self._work(Bucket(rows, room)))
        self._enter(dict(zip(slots, feeds, strict=True)), bucket.rows)
        work()
        for feed in feeds:
            feed.cache.length += 1
        tokens = self._tokens[:rows].tolist()  # the one wait for the device
        return [self._logp[slot] for slot in slots], [tokens[slot] for slot in slots]

    def _enter(self, feeds: dict[int, Feed], rows: int) -> None:
        """Write what is fed into the fixed tensors."""
        window = RELEASED.window
        ints, uniforms = [], []
        for slot in range(rows):
            feed = feeds.get(slot)
            if feed is None:
                ints.append([0, self._room - 1, 0, *[NO_TOKEN] * window])
                uniforms.append([0.0, 0.0])
                continue
            recent = [*feed.recent, *[NO_TOKEN] * (window - len(feed.recent))]
            ints.append([feed.token, feed.cache.length, feed.barred, *recent])
            uniforms.append([0.0, 0.0] if feed.uniforms is None else feed.uniforms.tolist())
        self._ints[:rows].copy_(torch.tensor(ints))
        self._uniforms[:rows].copy_(torch.tensor(uniforms))

    def _work(self, bucket: Bucket) -> Work:
        ints = self._ints[: bucket.rows]
        tokens, at, barred, recent = ints[:, 0], ints[:, 1], ints[:, 2], ints[:, 3:]
        end = self._lm.sizes.speech_tokens

        def work() -> None:
            hidden = self._hidden(tokens, at, bucket.room)
            logp = self._lm.logits(hidden).log_softmax(-1)
            logp[:, end] = logp[:, end].masked_fill(barred.bool(), -torch.inf)
            self._logp[: bucket.rows] = logp
            drawn = RELEASED.batched(logp, recent, self._uniforms[: bucket.rows])
            self._tokens[: bucket.rows] = drawn

        return work

    def _hidden(self, tokens: Tensor, at: Tensor, room: int) -> Tensor:
        """int64 [B] and their positions → [B, C], as `Lm.forward` for one new row each."""
        lm = self._lm
        turn = lm.rotation(at)
        # Added to the scores; as booleans every layer would make these numbers of them.
        unseen = torch.arange(room, device=at.device) > at[:, None]
        mask = torch.zeros_like(unseen, dtype=lm.dtype).masked_fill_(unseen, -torch.inf)
        places = torch.arange(len(at), device=at.device), at
        x = lm.speech[tokens]
        for index, layer in enumerate(lm.layers):
            entered = lm.normed(x, layer.norm_in)
            x = x + self._attention(layer, index, entered, turn, places, mask[:, None, None])
            x = x + network.mlp(layer, lm.normed(x, layer.norm_mlp))
        return lm.normed(x, lm.norm)

    def _attention(
        self,
        layer: Layer,
        index: int,
        x: Tensor,
        turn: tuple[Tensor, Tensor],
        places: tuple[Tensor, Tensor],
        mask: Tensor,
    ) -> Tensor:
        """[B, C] → [B, C]; writes the new keys and values to their slots and positions."""
        sizes, batch, room = self._lm.sizes, len(x), mask.shape[-1]
        qkv = network.linear(x, layer.qkv, layer.qkv_bias).view(batch, -1, sizes.head)
        turned = network.rotated(qkv, turn)
        pool, (slots, at) = self._pool[index], places
        pool[slots, :, at] = turned[:, sizes.heads :]
        keys, values = pool[:batch, :, :room].chunk(2, 1)
        queries = turned[:, : sizes.heads].view(batch, sizes.kv_heads, -1, sizes.head)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return network.linear(mixed.reshape(batch, -1), layer.out)
