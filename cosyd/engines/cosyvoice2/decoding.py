"""What the language model's steps of single tokens may be handed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.lm import KvCache


class Feed(NamedTuple):
    """One speech token for one utterance, and how its next one is drawn."""

    cache: KvCache
    token: int
    barred: bool
    """Whether the end token is forbidden."""
    recent: Sequence[int]
    """The last tokens, at most as many as the release's sampler looks at."""
    uniforms: Tensor | None
    """float32 [2], of `sampling.uniform_pair`; None: the release's sampler does not draw."""


class Decoder(Protocol):
    """Does them in a faster way; `lm_graphs.Decoder` is one."""

    def cache(self) -> KvCache:
        """An empty cache for one utterance."""

    def takes(self, cache: KvCache) -> bool:
        """Whether `step` can go on with this cache."""

    def step(self, feeds: Sequence[Feed]) -> tuple[Sequence[Tensor], list[int]]:
        """Feed one or more utterances.

        Returns:
            Log-probabilities, float32 [V] each, good until the next step, and drawn tokens.
        """
