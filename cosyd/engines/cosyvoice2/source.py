"""The vocoder's source: mel frames → f0 → a sum of harmonics and noise, one wave for each.

Twice, for the same sound: `Source.whole` draws and rounds as the original does and starts every
call at phase 0; `Source.extend` carries the phase and the noise on from call to call, so that
pieces joined are the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from cosyd.engines.cosyvoice2.hift import F0_KERNEL, Conv, HiftSizes

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.tensors import Tensors


@dataclass(frozen=True, slots=True)
class Excitation:
    """The sine generator's outputs and what they merge into.

    Attributes:
        sines: `[1, N, harmonics]`, with the noise.
        voiced: `[1, N, 1]`, 0 or 1.
        source: `[1, 1, N]`, within ±1.
    """

    sines: Tensor
    voiced: Tensor
    source: Tensor


@dataclass(slots=True)
class SourceState:
    """One utterance's source: where its phase and its noise are."""

    generator: torch.Generator
    """Draws the noise. In 16s, so that pieces draw what the whole would (on the CPU)."""
    phase: Tensor | None = field(default=None)
    """float64 `[harmonics]`, in turns: at the middle of the last frame made; None: none made."""


class Source:
    """The f0 predictor and the harmonics' weights, float32 always: pitch needs the digits."""

    __slots__ = (
        "_bias",
        "_classifier",
        "_convs",
        "_harmonics",
        "_weight",
        "_wide",
        "device",
        "sizes",
    )

    def __init__(
        self,
        sizes: HiftSizes,
        convs: tuple[Conv, ...],
        classifier: tuple[Tensor, Tensor],
        merge: tuple[Tensor, Tensor],
    ) -> None:
        self.sizes = sizes
        self._convs = convs
        self._classifier = classifier
        self._weight, self._bias = merge
        self.device = self._weight.device
        # Where float64 is: reading on the CPU what a card computes would wait for it.
        self._wide = self.device if self.device.type == "cuda" else torch.device("cpu")
        self._harmonics = torch.arange(1.0, sizes.nb_harmonics + 2, device=self.device)

    def f0(self, mel: Tensor) -> Tensor:
        """`mel: [B, in_channels, T]` → `[B, T]` float32, Hz, 0 or more."""
        x = mel.float()
        for conv in self._convs:
            x = F.elu(conv(x))
        return F.linear(x.transpose(1, 2), *self._classifier)[..., 0].abs()

    def whole(self, f0: Tensor, generator: torch.Generator) -> Excitation:
        """The source of one call of the original: its draws from `generator`, in its order.

        Args:
            f0: `[1, T]`, Hz.
        """
        width = self.sizes.nb_harmonics + 1
        samples = f0.shape[1] * self.sizes.samples_per_frame
        # The random phase is added to the first sample only and the resampling to frames does not
        # look at that one: drawn, to keep the order, and of no effect.
        _room(generator, 1, width).uniform_(generator=generator)
        # Harmonic by harmonic: torch fills such a tensor by another method than a plain one.
        noise = _room(generator, 1, width, samples).transpose(1, 2).normal_(generator=generator)
        _room(generator, 1, samples, 1).normal_(generator=generator)  # a noise branch, not used
        return self.given(f0, noise.to(self.device))

    def given(self, f0: Tensor, noise: Tensor) -> Excitation:
        """The same from drawn noise.

        Args:
            f0: `[1, T]`, Hz.
            noise: `[1, samples_per_frame * T, harmonics]`, standard normal.
        """
        scale = self.sizes.samples_per_frame
        turns = (f0[..., None] * self._harmonics / self.sizes.sampling_rate) % 1  # per sample
        # Summed frame by frame in float32, then stretched: the rounding is the original's too.
        phase = torch.cumsum(turns, dim=1) * (2 * math.pi) * scale
        phase = F.interpolate(phase.transpose(1, 2), scale_factor=scale, mode="linear")
        return self._excite(phase.transpose(1, 2).sin(), f0, noise)

    def extend(self, state: SourceState, f0: Tensor, *, final: bool) -> Tensor:
        """The next frames of one utterance's source.

        A sample lies between the middles of two frames, and so does its phase; before the first
        middle and after the last the phase stands still, as in the original.

        Args:
            f0: `[1, T]`, Hz: of the frames to make and, unless `final`, of one more.

        Returns:
            `[1, 1, samples_per_frame * n]`, n = T if `final` else T − 1.
        """
        scale = self.sizes.samples_per_frame
        count = f0.shape[1] if final else f0.shape[1] - 1
        if count <= 0:
            return f0.new_zeros(1, 1, 0)
        turns = f0[0].to(self._wide, torch.float64)[:, None] * self._harmonics.to(
            self._wide, torch.float64
        )
        steps = turns * (scale / self.sizes.sampling_rate)  # from the frame before to this one
        begun = torch.zeros_like(steps[0]) if state.phase is None else state.phase
        middles = (begun + steps[:count].cumsum(0)) % 1
        before, after = steps[:count].clone(), torch.zeros_like(middles)
        after[: len(steps) - 1] = steps[1 : count + 1]
        if state.phase is None:
            before[0] = 0
        state.phase = middles[-1]
        sines = (2 * math.pi * self._between(middles, before, after)).sin()
        width = len(self._harmonics)
        noise = _room(state.generator, 1, count * scale, width).normal_(generator=state.generator)
        return self._excite(sines, f0[:, :count], noise.to(self.device)).source

    def _between(self, middles: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Turns of every sample, `[1, samples_per_frame * n, harmonics]`, within 0…1.

        Args:
            middles: `[n, harmonics]`, turns at the frames' middles.
            before, after: `[n, harmonics]`, turns from the middle before, to the middle after.
        """
        scale = self.sizes.samples_per_frame
        place = (torch.arange(scale, device=self.device) + 0.5) / scale - 0.5
        early, late = place.clamp(max=0)[:, None], place.clamp(min=0)[:, None]
        middles, before, after = (
            turns.to(self.device, torch.float32)[:, None] for turns in (middles, before, after)
        )
        return ((middles + before * early + after * late) % 1).flatten(0, 1)[None]

    def _excite(self, sines: Tensor, f0: Tensor, noise: Tensor) -> Excitation:
        sizes = self.sizes
        voiced = (f0 > sizes.nsf_voiced_threshold).float()
        voiced = voiced.repeat_interleave(sizes.samples_per_frame, dim=1)[..., None]
        level = voiced * sizes.nsf_sigma + (1 - voiced) * sizes.nsf_alpha / 3
        sines = sines * sizes.nsf_alpha * voiced + level * noise
        merged = F.linear(sines, self._weight, self._bias).tanh()
        return Excitation(sines, voiced, merged.transpose(1, 2))


def _room(generator: torch.Generator, *shape: int) -> Tensor:
    """Room for what `generator` is to draw, where it draws."""
    return torch.empty(shape, device=generator.device)


def load(view: Tensors, sizes: HiftSizes, *, device: torch.device) -> Source:
    """The source's part of a release's vocoder tensors, weight norm folded.

    Raises:
        cosyd.errors.ModelLoadFailed: a tensor is missing or of another shape.
    """

    def take(name: str, *shape: int) -> Tensor:
        return view.take(name, shape).to(device, torch.float32)

    channels = sizes.cond_channels
    convs = []
    for layer in range(sizes.f0_layers):
        name = f"f0_predictor.condnet.{2 * layer}"  # an activation stands between two
        into = channels if layer else sizes.in_channels
        weight = take(f"{name}.weight", channels, into, F0_KERNEL)
        convs.append(Conv(weight, take(f"{name}.bias", channels), padding=F0_KERNEL // 2))
    classifier = "f0_predictor.classifier"
    merge = "m_source.l_linear"
    return Source(
        sizes,
        tuple(convs),
        (take(f"{classifier}.weight", 1, channels), take(f"{classifier}.bias", 1)),
        (take(f"{merge}.weight", 1, sizes.nb_harmonics + 1), take(f"{merge}.bias", 1)),
    )
