"""Choosing the next speech token: repetition-aware sampling.

A draw from the nucleus; where it stands among the last few tokens already, it is forbidden and
one draw is made from all the others. On the CPU the random numbers are those of `multinomial`
called in that order with the same seed; elsewhere both draws are always made, of two numbers that
the host draws, so that nothing waits for the device and all of it fits into a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

NO_TOKEN: Final = -1
"""Where a token would be and none is."""
_BELOW_ONE: Final = 1 - 2**-20
"""Keeps a uniform number times a sum below the sum, however it is rounded."""


class Sampler(Protocol):
    """How a token is chosen."""

    def __call__(self, logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        """Choose.

        Args:
            logp: float32 [V], log-probabilities, −inf where forbidden; left unchanged.
            decoded: the tokens so far.
            generator: on the CPU.

        Returns:
            int64 [], on the device.
        """


def greedy(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
    """The likeliest token."""
    del decoded, generator
    return logp.argmax()


@dataclass(frozen=True, slots=True)
class RepetitionAware:
    """The sampler of CosyVoice 2; the defaults are its release's."""

    top_p: float = 0.8
    """The nucleus ends with the token that brings its probability here."""
    top_k: int = 25
    """The most tokens in the nucleus."""
    window: int = 10
    """How many earlier tokens count."""
    tau: float = 0.1
    """The part of the window that one token may not reach."""

    def __call__(self, logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        """See `Sampler`."""
        recent = decoded[-self.window :]
        if logp.device.type != "cpu":
            return self._without_waiting(logp, recent, generator)
        probabilities, ids = self.nucleus(logp)
        token = ids[_draw(probabilities, generator)]
        if recent.count(int(token)) < self.window * self.tau:
            return token
        return _draw(_without(logp, token), generator)

    def nucleus(self, logp: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest tokens' probabilities [K] and ids [K], in stable descending order."""
        probabilities, ids = self._likeliest(logp)
        kept = 1 + int((probabilities.cumsum(0)[:-1] < self.top_p).sum())
        return probabilities[:kept], ids[:kept]

    def _likeliest(self, logp: Tensor) -> tuple[Tensor, Tensor]:
        probabilities, ids = logp.softmax(0).sort(descending=True, stable=True)
        return probabilities[: self.top_k], ids[: self.top_k]

    def _without_waiting(
        self, logp: Tensor, recent: Sequence[int], generator: torch.Generator
    ) -> Tensor:
        earlier = torch.tensor([[*recent, *[NO_TOKEN] * (self.window - len(recent))]])
        uniforms = uniform_pair(generator)[None]
        return self.batched(logp[None], earlier.to(logp.device), uniforms.to(logp.device))[0]

    def batched(self, logp: Tensor, recent: Tensor, uniforms: Tensor) -> Tensor:
        """Choose a token for every row, without looking at any number on the host.

        Args:
            logp: float32 [B, V], log-probabilities, −inf where forbidden.
            recent: int64 [B, window], the last tokens, `NO_TOKEN` where there is none.
            uniforms: float32 [B, 2], of `uniform_pair`.

        Returns:
            int64 [B]; `NO_TOKEN` where a row holds a NaN.
        """
        probabilities, ids = logp.softmax(1).sort(dim=1, descending=True, stable=True)
        probabilities, ids = probabilities[:, : self.top_k], ids[:, : self.top_k]
        before = probabilities.cumsum(1) - probabilities
        place = _place(probabilities.masked_fill(before >= self.top_p, 0.0), uniforms[:, :1])
        token = ids.gather(1, place)
        other = _place(logp.scatter(1, token, float("-inf")).softmax(1), uniforms[:, 1:])
        repeated = (recent == token).sum(1, keepdim=True) >= self.window * self.tau
        chosen = torch.where(repeated, other, token)[:, 0]
        # Not `where` with a number: that would be a copy from the host, which no graph may hold.
        return chosen.masked_fill(logp.isnan().any(1), NO_TOKEN)


def uniform_pair(generator: torch.Generator) -> Tensor:
    """float32 [2], for one token: of both its draws."""
    return torch.rand(2, generator=generator) * _BELOW_ONE


def _place(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """[B, n] and [B, 1] → int64 [B, 1]: where the running sum passes that part of the whole."""
    ends = probabilities.cumsum(1)
    passed = (ends > uniform * ends[:, -1:]) & (probabilities > 0)
    before = (~passed).long().cumprod(1).sum(1, keepdim=True)
    return before.clamp(max=probabilities.shape[1] - 1)


def _draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    return probabilities.multinomial(1, replacement=True, generator=generator)[0]


def _without(logp: Tensor, token: Tensor) -> Tensor:
    """[V] probabilities of the tokens that are not `token`."""
    return logp.index_fill(0, token, float("-inf")).softmax(0)
