"""From noise to mel: Euler steps along the flow, with guidance away from the unconditional one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import torch

from cosyd.engines.cosyvoice2.causal import Cache, go_on
from cosyd.engines.cosyvoice2.hidden import HiddenCache
from cosyd.errors import TextTooLong

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.causal import Check, Span
    from cosyd.engines.cosyvoice2.estimator import Estimator

NOISE_FRAMES: Final = 15000
"""Mel frames of start noise there are, so the longest prompt + speech: 300 s."""
_NOISE_SEED: Final = 0


def start_noise(mel: int) -> Tensor:
    """The start noise of every utterance: float32 [1, NOISE_FRAMES, mel], the same every time.

    The checkpoint does not hold it; it is what the CPU's generator gives after seed 0 for
    [1, mel, NOISE_FRAMES].
    """
    generator = torch.Generator().manual_seed(_NOISE_SEED)
    return torch.randn(1, mel, NOISE_FRAMES, generator=generator).transpose(1, 2).contiguous()


def moments(steps: int) -> tuple[Tensor, Tensor]:
    """The moment before each step and each step's length: float32 [steps] each, cosine-spaced."""
    ends = 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * math.pi)
    t, at, by = ends[0], [], []
    for end in ends[1:]:
        at.append(t)
        by.append(end - t)
        t = t + by[-1]
    return torch.stack(at), torch.stack(by)


@dataclass(frozen=True, slots=True)
class Step:
    """One Euler step: what the moment adds to each of the estimator's stages, and its length."""

    shifts: tuple[Tensor, ...]
    length: float


class Graphs(Protocol):
    """A faster way to solve; `flow_graphs.Solver` is one."""

    def cache(self) -> Cache:
        """An empty cache for one step of one utterance."""

    def solve(
        self, x: Tensor, rows: Tensor, at: Span, caches: Sequence[Cache], check: Check
    ) -> Tensor | None:
        """As `Cfm`, with the conditions as rows; None: it cannot do this one."""


class Cfm:
    """The solver; immutable, with all that depends only on the moments computed at load.

    Args:
        estimator: gives the velocities.
        steps: Euler steps.
        guidance: g in (1 + g) · conditional - g · unconditional.
        device: where the estimator's weights are.
        dtype: their type. The mel itself is float32 throughout.
    """

    __slots__ = ("_noise", "dtype", "estimator", "graphs", "guidance", "plan")

    def __init__(
        self,
        estimator: Estimator,
        steps: int,
        guidance: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.estimator = estimator
        self.dtype = dtype
        self.guidance = guidance
        self.graphs: Graphs | None = None  # set once, when the model is warmed up
        self._noise = start_noise(estimator.sizes.mel).to(device)
        at, by = moments(steps)
        self.plan = tuple(
            Step(estimator.shifts(t.view(1).to(device)), float(length))
            for t, length in zip(at, by, strict=True)
        )

    @property
    def steps(self) -> int:
        """Euler steps, so caches that a stream needs."""
        return len(self.plan)

    def cache(self) -> Cache:
        """An empty cache for one step of one utterance.

        Keys and values of ten seconds are 1.5 GB in bfloat16: where the CPU is quick at that, they
        are computed anew from a quarter of it, for about as much as attending to them costs.
        """
        if self.graphs:
            return self.graphs.cache()
        spare = self._noise.device.type == "cpu" and self.dtype == torch.bfloat16
        return HiddenCache(self.no_rows()) if spare else Cache()

    def no_rows(self) -> Tensor:
        """What a `HiddenCache` begins with: [attentions, 0, B · C]; with guidance and without."""
        sizes = self.estimator.sizes
        return self._noise.new_empty((sizes.attentions, 0, 2 * sizes.channels), dtype=self.dtype)

    def noise(self, at: Span) -> Tensor:
        """float32 [1, count, mel], where the frames of `at` start from.

        Raises:
            TextTooLong: prompt and speech are longer than the noise.
        """
        if at.end > self._noise.shape[1]:
            raise TextTooLong("One piece of the text is over 300 s long; use shorter sentences.")
        return self._noise[:, at.start : at.end]

    def __call__(
        self,
        x: Tensor,
        mu: Tensor,
        cond: Tensor,
        speaker: Tensor,
        at: Span,
        caches: Sequence[Cache] | None = None,
        trace: list[Tensor] | None = None,
        check: Check = go_on,
    ) -> Tensor:
        """Solve for the frames of `at`.

        Args:
            x: float32 [1, T, mel], the start noise.
            mu: [1, T, mel], the encoder's mean.
            cond: [1, T, mel], the prompt's mel where there is one, zeros elsewhere.
            speaker: [1, mel], the projected speaker.
            at: which frames these are.
            caches: one for each step, with the state of the frames before; each grows by T.
            trace: gets x before each step.
            check: called before each step. If it raises, some caches have grown and some not.

        Returns:
            float32 [1, T, mel].
        """
        mel = x.shape[2]
        rows = self._conditions(mu, cond, speaker, at.count)
        if self.graphs and caches and trace is None:
            solved = self.graphs.solve(x, rows, at, caches, check)
            if solved is not None:
                return solved
        for i, step in enumerate(self.plan):
            check()
            if trace is not None:
                trace.append(x)
            rows[:, :, :mel] = x
            velocity = self.estimator(rows, step.shifts, at, caches[i] if caches else None)
            guided, free = velocity.float().chunk(2)
            x = x + step.length * ((1 + self.guidance) * guided - self.guidance * free)
        return x

    def _conditions(self, mu: Tensor, cond: Tensor, speaker: Tensor, count: int) -> Tensor:
        """[2, T, 4 · mel]: x's place, mean, speaker, conditioning; all zero in the second row."""
        mel = mu.shape[2]
        rows = torch.zeros((2, count, 4 * mel), dtype=self.dtype, device=mu.device)
        rows[0, :, mel : 2 * mel] = mu[0]
        rows[0, :, 2 * mel : 3 * mel] = speaker
        rows[0, :, 3 * mel :] = cond[0]
        return rows
