"""Choosing the next speech token: repetition-aware sampling.

A draw from the nucleus; where it stands among the last few tokens already, it is forbidden and
one draw is made from all the others. On the CPU the random numbers are those of `multinomial`
called in that order with the same seed; elsewhere both draws are always made, so that nothing
waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Sampler(Protocol):
    """How a token is chosen."""

    def __call__(self, logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        """Choose.

        Args:
            logp: float32 [V], log-probabilities, −inf where forbidden; left unchanged.
            decoded: the tokens so far.
            generator: on the device of `logp`.

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
        probabilities, ids = self._likeliest(logp)
        before = probabilities.cumsum(0) - probabilities
        token = ids[_draw(probabilities.where(before < self.top_p, 0.0), generator)]
        other = _draw(_without(logp, token), generator)
        earlier = torch.tensor([*recent], dtype=torch.long).to(logp.device, non_blocking=True)
        repeated = (earlier == token).sum() >= self.window * self.tau
        return torch.where(repeated, other, token)


def _draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    return probabilities.multinomial(1, replacement=True, generator=generator)[0]


def _without(logp: Tensor, token: Tensor) -> Tensor:
    """[V] probabilities of the tokens that are not `token`."""
    return logp.index_fill(0, token, float("-inf")).softmax(0)
