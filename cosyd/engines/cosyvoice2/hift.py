"""HiFT, the vocoder: mel frames and a source → wave, by way of a short-time spectrum.

mel → conv → (upsample, add the source's spectrum, mean of the residual blocks) × 3 → conv →
log magnitude and phase → overlap-add. Every layer looks both ways, together no further than
`HiftSizes.reach` mel frames: the middle of a wave does not depend on what lies beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from cosyd.engines.cosyvoice2.spectrum import Spectrum

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.layout import Settings
    from cosyd.engines.cosyvoice2.tensors import Tensors

MAX_MAGNITUDE = 100.0
EDGE_KERNEL = 7
"""Of the first and the last convolution."""
F0_KERNEL = 3
_LAST_SLOPE = 0.01
_TINY = 1e-9  # keeps 1 / alpha finite


@dataclass(frozen=True, slots=True)
class HiftSizes:
    """Sizes of the vocoder, its source and its f0 predictor, named as in the release's yaml."""

    in_channels: int = 80
    base_channels: int = 512
    nb_harmonics: int = 8
    sampling_rate: int = 24_000
    nsf_alpha: float = 0.1
    nsf_sigma: float = 0.003
    nsf_voiced_threshold: float = 10.0
    upsample_rates: tuple[int, ...] = (8, 5, 3)
    upsample_kernel_sizes: tuple[int, ...] = (16, 11, 7)
    n_fft: int = 16
    hop_len: int = 4
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    source_resblock_kernel_sizes: tuple[int, ...] = (7, 7, 11)
    source_resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    lrelu_slope: float = 0.1
    audio_limit: float = 0.99
    cond_channels: int = 512
    """Of the f0 predictor."""
    f0_layers: int = 5

    @classmethod
    def read(cls, settings: Settings) -> HiftSizes:
        """From a release's settings.

        Raises:
            cosyd.errors.ModelLoadFailed: a number is missing or none.
        """
        integer, number = settings.integer, settings.number
        return cls(
            in_channels=integer("hift.in_channels"),
            base_channels=integer("hift.base_channels"),
            nb_harmonics=integer("hift.nb_harmonics"),
            sampling_rate=integer("hift.sampling_rate"),
            nsf_alpha=number("hift.nsf_alpha"),
            nsf_sigma=number("hift.nsf_sigma"),
            nsf_voiced_threshold=number("hift.nsf_voiced_threshold"),
            upsample_rates=settings.integers("hift.upsample_rates"),
            upsample_kernel_sizes=settings.integers("hift.upsample_kernel_sizes"),
            n_fft=integer("hift.istft_params.n_fft"),
            hop_len=integer("hift.istft_params.hop_len"),
            resblock_kernel_sizes=settings.integers("hift.resblock_kernel_sizes"),
            resblock_dilation_sizes=settings.integer_lists("hift.resblock_dilation_sizes"),
            source_resblock_kernel_sizes=settings.integers("hift.source_resblock_kernel_sizes"),
            source_resblock_dilation_sizes=settings.integer_lists(
                "hift.source_resblock_dilation_sizes"
            ),
            lrelu_slope=number("hift.lrelu_slope"),
            audio_limit=number("hift.audio_limit"),
            cond_channels=integer("hift.f0_predictor.cond_channels"),
        )

    @property
    def samples_per_frame(self) -> int:
        """Wave samples in a mel frame."""
        return math.prod(self.upsample_rates) * self.hop_len

    @property
    def f0_reach(self) -> int:
        """Mel frames on each side that a frame's f0 depends on."""
        return self.f0_layers * (F0_KERNEL // 2)

    @property
    def reach(self) -> int:
        """Mel frames on each side that a sample depends on, the source's own f0 apart.

        The layers' half widths, in mel frames, summed from the wave back to the mel, and beside
        that to the source.
        """
        rate = math.prod(self.upsample_rates)
        back = (self.n_fft / self.hop_len + 1 + EDGE_KERNEL // 2) / rate
        source = 0.0
        for stage in reversed(range(len(self.upsample_rates))):
            stride = self.upsample_rates[stage]
            blocks = zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True)
            back += max(_half_width(kernel, dilations) for kernel, dilations in blocks) / rate
            beside = _half_width(
                self.source_resblock_kernel_sizes[stage], self.source_resblock_dilation_sizes[stage]
            )
            source = max(source, back + (beside + 2) / rate)
            rate //= stride
            back += (self.upsample_kernel_sizes[stage] / (2 * stride) + 1) / rate
        return math.ceil(max(back + EDGE_KERNEL // 2, source))


def _half_width(kernel: int, dilations: Sequence[int]) -> int:
    """Of one residual block: per dilation a dilated and a plain convolution."""
    return sum(kernel // 2 * (dilation + 1) for dilation in dilations)


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution in time that keeps the length, apart from its stride."""

    weight: Tensor
    bias: Tensor
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        """`x: [B, C_in, T]` → `[B, C_out, T // stride]`."""
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)


@dataclass(frozen=True, slots=True)
class Upsample:
    """A transposed convolution that lengthens `stride` times."""

    weight: Tensor
    bias: Tensor
    stride: int

    def __call__(self, x: Tensor) -> Tensor:
        """`x: [B, C_in, T]` → `[B, C_out, stride * T]`."""
        padding = (self.weight.shape[-1] - self.stride) // 2
        return F.conv_transpose1d(x, self.weight, self.bias, self.stride, padding)


@dataclass(frozen=True, slots=True)
class Snake:
    """x + sin²(αx) / α, an α to each channel."""

    alpha: Tensor
    inverse: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """`x: [B, C, T]` → the same shape."""
        return (x * self.alpha).sin_().square_().mul_(self.inverse).add_(x)


@dataclass(frozen=True, slots=True)
class ResBlock:
    """Snake, dilated convolution, Snake, convolution, added; once for each dilation."""

    layers: tuple[tuple[Snake, Conv, Snake, Conv], ...]

    def __call__(self, x: Tensor) -> Tensor:
        """`x: [B, C, T]` → the same shape."""
        for snake1, conv1, snake2, conv2 in self.layers:
            x = conv2(snake2(conv1(snake1(x)))) + x
        return x


@dataclass(frozen=True, slots=True)
class Stage:
    """One upsampling, with what the source adds after it."""

    up: Upsample
    source_down: Conv
    source_block: ResBlock
    blocks: tuple[ResBlock, ...]


class Hift:
    """The loaded vocoder. Nothing here changes after `load`."""

    __slots__ = ("_post", "_pre", "_stages", "dtype", "sizes", "spectrum")

    def __init__(
        self, sizes: HiftSizes, pre: Conv, stages: Sequence[Stage], post: Conv, spectrum: Spectrum
    ) -> None:
        self.sizes = sizes
        self.spectrum = spectrum
        self.dtype = pre.weight.dtype
        self._pre = pre
        self._stages = tuple(stages)
        self._post = post

    def __call__(self, mel: Tensor, source: Tensor) -> Tensor:
        """Vocode.

        Args:
            mel: `[B, in_channels, T]`, log magnitudes.
            source: `[B, 1, samples_per_frame * T]`, see `source.Source`.

        Returns:
            `[B, samples_per_frame * T]` float32 within ±audio_limit.
        """
        excitation = self.spectrum.of(source).to(self.dtype)
        x = self._pre(mel.to(self.dtype))
        for stage in self._stages:
            x = stage.up(F.leaky_relu(x, self.sizes.lrelu_slope))
            if stage is self._stages[-1]:  # one step more, as the spectrum has
                x = F.pad(x, (1, 0), mode="reflect")
            x = x + stage.source_block(stage.source_down(excitation))
            total = stage.blocks[0](x)
            for block in stage.blocks[1:]:
                total = total + block(x)
            x = total / len(stage.blocks)
        x = self._post(F.leaky_relu(x, _LAST_SLOPE)).float()
        log_magnitude, phase = x.chunk(2, dim=1)
        magnitude = log_magnitude.exp().clamp(max=MAX_MAGNITUDE)
        wave = self.spectrum.wave(magnitude, phase.sin())[:, 0]
        return wave.clamp(-self.sizes.audio_limit, self.sizes.audio_limit)

    def conv_pre(self, mel: Tensor) -> Tensor:
        """`mel: [B, in_channels, T]` → `[B, base_channels, T]`: the first layer, for checks."""
        return self._pre(mel.to(self.dtype))


def load(view: Tensors, sizes: HiftSizes, *, device: torch.device, dtype: torch.dtype) -> Hift:
    """The vocoder from a release's tensors, weight norm folded; the source's are left untaken.

    Raises:
        cosyd.errors.ModelLoadFailed: a tensor is missing or of another shape.
    """
    loader = _Loader(sizes, device, dtype)
    base, mel, bins = sizes.base_channels, sizes.in_channels, sizes.n_fft + 2
    pre = loader.conv(view.child("conv_pre"), base, mel, EDGE_KERNEL)
    stages = [loader.stage(view, stage) for stage in range(len(sizes.upsample_rates))]
    last = base >> len(sizes.upsample_rates)
    post = loader.conv(view.child("conv_post"), bins, last, EDGE_KERNEL)
    return Hift(sizes, pre, stages, post, Spectrum(sizes.n_fft, sizes.hop_len, device))


@dataclass(frozen=True, slots=True)
class _Loader:
    """Makes layers of tensors."""

    sizes: HiftSizes
    device: torch.device
    dtype: torch.dtype

    def stage(self, view: Tensors, stage: int) -> Stage:
        sizes = self.sizes
        channels = sizes.base_channels >> (stage + 1)
        kinds = list(zip(sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True))
        blocks = [
            self._block(view.child(f"resblocks.{stage * len(kinds) + index}"), channels, *kind)
            for index, kind in enumerate(kinds)
        ]
        source_block = self._block(
            view.child(f"source_resblocks.{stage}"),
            channels,
            sizes.source_resblock_kernel_sizes[stage],
            sizes.source_resblock_dilation_sizes[stage],
        )
        up = view.child(f"ups.{stage}")
        kernel = sizes.upsample_kernel_sizes[stage]
        weight = self._tensor(up, "weight", 2 * channels, channels, kernel)
        return Stage(
            Upsample(weight, self._tensor(up, "bias", channels), sizes.upsample_rates[stage]),
            self._source_down(view.child(f"source_downs.{stage}"), channels, stage),
            source_block,
            tuple(blocks),
        )

    def _source_down(self, view: Tensors, channels: int, stage: int) -> Conv:
        """From the spectrum's steps to this stage's."""
        stride = math.prod(self.sizes.upsample_rates[stage + 1 :])
        kernel = 1 if stride == 1 else 2 * stride
        shape = (channels, self.sizes.n_fft + 2, kernel)
        weight = self._tensor(view, "weight", *shape)
        return Conv(weight, self._tensor(view, "bias", channels), stride, stride // 2)

    def _block(
        self, view: Tensors, channels: int, kernel: int, dilations: Sequence[int]
    ) -> ResBlock:
        def snake(name: str) -> Snake:
            alpha = view.take(name, [channels]).to(self.device, torch.float32)[:, None]
            inverse = 1 / (alpha + _TINY)
            return Snake(alpha.to(self.dtype), inverse.to(self.dtype))

        return ResBlock(
            tuple(
                (
                    snake(f"activations1.{index}.alpha"),
                    self.conv(view.child(f"convs1.{index}"), channels, channels, kernel, dilation),
                    snake(f"activations2.{index}.alpha"),
                    self.conv(view.child(f"convs2.{index}"), channels, channels, kernel),
                )
                for index, dilation in enumerate(dilations)
            )
        )

    def conv(self, view: Tensors, out: int, into: int, kernel: int, dilation: int = 1) -> Conv:
        weight = self._tensor(view, "weight", out, into, kernel)
        padding = kernel // 2 * dilation
        return Conv(weight, self._tensor(view, "bias", out), 1, padding, dilation)

    def _tensor(self, view: Tensors, name: str, *shape: int) -> Tensor:
        return view.take(name, shape).to(self.device, self.dtype)
