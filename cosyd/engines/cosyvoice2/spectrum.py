"""A wave's short-time spectrum, and the wave of a spectrum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor


class Spectrum:
    """Short-time Fourier transform with a periodic Hann window, and back, as convolutions.

    Centred: the wave is reflected at its ends for half a window, `T` samples give
    `T // hop + 1` steps. Always float32: half precision would be heard here.
    """

    __slots__ = ("_analysis", "_power", "_synthesis", "hop", "n_fft")

    def __init__(self, n_fft: int, hop: int, device: torch.device) -> None:
        self.n_fft = n_fft
        self.hop = hop
        window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
        turns = torch.outer(torch.arange(n_fft // 2 + 1.0), torch.arange(float(n_fft))) / n_fft
        angle = 2 * math.pi * turns.double()
        twice = torch.full((n_fft // 2 + 1, 1), 2.0, dtype=torch.float64)
        twice[0] = twice[-1] = 1.0  # no mirror image of these two bins
        basis = torch.cat([angle.cos(), -angle.sin()])
        analysis = basis * window
        synthesis = basis * torch.cat([twice, twice]) / n_fft * window
        self._analysis = analysis[:, None].to(device, torch.float32)
        self._synthesis = synthesis[:, None].to(device, torch.float32)
        self._power = window.square()[None, None].to(device, torch.float32)

    def of(self, wave: Tensor) -> Tensor:
        """`wave: [B, 1, T]` → `[B, n_fft + 2, T // hop + 1]`: real parts, then imaginary ones."""
        half = self.n_fft // 2
        reflected = F.pad(wave.float(), (half, half), mode="reflect")
        return F.conv1d(reflected, self._analysis, stride=self.hop)

    def wave(self, magnitude: Tensor, phase: Tensor) -> Tensor:
        """`magnitude, phase: [B, n_fft // 2 + 1, T]` → `[B, 1, hop * (T - 1)]`."""
        parts = torch.cat([magnitude * phase.cos(), magnitude * phase.sin()], dim=1)
        summed = F.conv_transpose1d(parts, self._synthesis, stride=self.hop)
        ones = torch.ones_like(magnitude[:1, :1])
        weight = F.conv_transpose1d(ones, self._power, stride=self.hop)
        half = self.n_fft // 2
        return summed[..., half:-half] / weight[..., half:-half]
