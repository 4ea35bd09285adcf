"""Each optimisation left out, so that it can be told what it brought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from cosyd.engines.cosyvoice2 import causal, cfm, checkpoint, estimator
from cosyd.engines.cosyvoice2.flow_stream import HOPS, FlowStream

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt
    from cosyd.engines.cosyvoice2.t2w import MelStream

MAPPED: Final = "converted, mapped weights"
PROMPT: Final = "the prompt's flow state once per voice"
CACHES: Final = "flow caches"
HOP: Final = "growing hop"
FUSED: Final = "fused q, k, v"
ATTENTION: Final = "attention as bfloat16 products"
KEYS: Final = "hidden states kept: keys and values instead"
NAMES: Final = (MAPPED, PROMPT, CACHES, HOP, FUSED, ATTENTION, KEYS)


class Recomputed:
    """An utterance in the flow that keeps no state: every hop computes everything before it."""

    def __init__(self, flow: Flow, voice: FlowPrompt) -> None:
        self._flow, self._voice = flow, voice
        self._given: list[int] = []
        self._told = 0
        self._hops = list(HOPS)
        self._edge = -voice.length % flow.sizes.encoder.block_tokens + self._hops[0]

    @property
    def ready(self) -> bool:
        """See `FlowStream`."""
        return len(self._given) >= self._edge + self._flow.sizes.encoder.lookahead

    def push(self, tokens: Sequence[int]) -> None:
        """See `FlowStream`."""
        self._given += tokens

    def step(self) -> Tensor:
        """See `FlowStream`."""
        ahead = self._edge + self._flow.sizes.encoder.lookahead
        mel = self._flow.whole(self._voice, self._given[:ahead], chunked=True, final=False)
        self._hops = self._hops[1:] or self._hops
        self._edge += self._hops[0]
        return self._new(mel)

    def finish(self, *, exact_upstream: bool = False) -> Tensor:
        """See `FlowStream`."""
        return self._new(self._flow.whole(self._voice, self._given, chunked=not exact_upstream))

    def _new(self, mel: Tensor) -> Tensor:
        told, self._told = self._told, mel.shape[2]
        return mel[:, :, told:]


def stream(flow: Flow, voice: FlowPrompt, off: str) -> MelStream | None:
    """An utterance in the flow without an optimisation of streams; None: with all of them."""
    if off == CACHES:
        return Recomputed(flow, voice)
    if off == HOP:
        return FlowStream(flow, voice, hops=HOPS[:1])
    return None


def checkpoints(folder: Path) -> dict[str, dict[str, Tensor]]:
    """The release's own files, read at every load."""
    files = {name: checkpoint.tensors(folder / f"{name}.pt") for name in ("llm", "flow", "hift")}
    files["hift"] = checkpoint.fold_weight_norm(files["hift"], "hift.pt")
    return files


def leave_out(off: str) -> None:
    """Change the code of this process so that an optimisation is left out."""
    if off == ATTENTION:
        vars(estimator)["attend"] = _plain_attention
    if off == KEYS:
        cfm.Cfm.cache = _keys_and_values  # type: ignore[method-assign]  # what this is for
    if off == FUSED:
        causal.Loader.fused = _apart  # type: ignore[method-assign]  # what this is for


def _keys_and_values(self: cfm.Cfm) -> causal.Cache:
    del self
    return causal.Cache()


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class _Apart:
    """Several matrices with the same input, one product each."""

    def __init__(self, parts: list[causal.Linear]) -> None:
        self._parts = parts

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self._parts], dim=-1)


def _apart(
    self: causal.Loader, names: tuple[str, ...], into: int, out: int, *, bias: bool = True
) -> Any:
    return _Apart([self.linear(name, into, out, bias=bias) for name in names])
