"""Mel frames → wave, piece by piece, for one utterance at a time.

mel → `Stretch` (speed) → `Stream` → `Finish` (edges). A `Stream` holds back the mel frames that
still lack what follows them, so that its pieces joined are the wave of the whole mel: there are no
joins to hide. `ExactStream` streams as the original does, joins and all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from cosyd.engines.cosyvoice2 import hift, source
from cosyd.engines.cosyvoice2.tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.hift import Hift, HiftSizes
    from cosyd.engines.cosyvoice2.source import Source

FILE = "hift.pt"
CACHED_FRAMES = 8
"""What the original keeps between calls: mel frames, and as many frames of source and wave."""
EDGE_MS = 5
TAIL_MS = 40
_LOUDER = 2.0
"""A tail that much louder than what it follows is the vocoder's, not the voice's: speech dies
away, and where the model has nothing to say it has noise left."""


@dataclass(frozen=True, slots=True)
class Vocoder:
    """Everything of `hift.pt`. Nothing here changes after `load`."""

    hift: Hift
    source: Source

    @property
    def sizes(self) -> HiftSizes:
        """Of both."""
        return self.hift.sizes

    @property
    def lookahead(self) -> int:
        """Mel frames that must be known after one for its samples to be final.

        Its samples look `reach` frames ahead, the source there half a frame further to the next
        frame's pitch, which looks ahead itself.
        """
        return self.sizes.reach + 1 + self.sizes.f0_reach

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.source.device

    @torch.inference_mode()
    def whole(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """`mel: [1, in_channels, T]` → `[1, samples_per_frame * T]`, as the original does it."""
        return self.hift(mel, self.source.whole(self.source.f0(mel), generator).source)


def load(
    tensors: Mapping[str, Tensor], sizes: HiftSizes, *, device: torch.device, dtype: torch.dtype
) -> Vocoder:
    """The vocoder from a release's tensors, weight norm folded.

    Args:
        dtype: of the vocoder's layers; pitch, source and spectrum are float32 anyway.

    Raises:
        cosyd.errors.ModelLoadFailed: a tensor is missing, too many, or of another shape.
    """
    view = Tensors(FILE, tensors)
    vocoder = Vocoder(
        hift.load(view, sizes, device=device, dtype=dtype),
        source.load(view, sizes, device=device),
    )
    view.done()
    return vocoder


class Stream:
    """One utterance's mel → wave. Pieces of any lengths give the same wave, joined."""

    def __init__(self, vocoder: Vocoder, generator: torch.Generator) -> None:
        self._vocoder = vocoder
        self._state = source.SourceState(generator)
        self._mel: Tensor | None = None  # [1, in_channels, frames from self._start]
        self._source: Tensor | None = None  # [1, 1, samples from self._start]
        self._start = 0  # the first frame kept
        self._sourced = 0  # frames whose source is made
        self._emitted = 0  # frames whose wave is out

    @torch.inference_mode()
    def push(self, mel: Tensor, *, final: bool) -> Tensor:
        """Take more mel frames.

        Args:
            mel: `[1, in_channels, T]`, T may be 0.
            final: no more will come.

        Returns:
            `[1, samples]`, what is final now; it may be empty.
        """
        mel = mel.to(self._vocoder.device)
        self._mel = mel if self._mel is None else torch.cat([self._mel, mel], dim=2)
        self._extend_source(final=final)
        reach = self._vocoder.sizes.reach
        end = self._sourced if final else self._sourced - reach
        if end <= self._emitted:
            return mel.new_zeros((1, 0), dtype=torch.float32)
        wave = self._render(max(0, self._emitted - reach), end)
        self._emitted = end
        self._drop(max(self._start, end - reach))
        return wave

    def _extend_source(self, *, final: bool) -> None:
        """Make the source of the frames whose pitch is final, and the next one's too."""
        assert self._mel is not None
        maker, context = self._vocoder.source, self._vocoder.sizes.f0_reach
        known = self._start + self._mel.shape[2]
        pitched = known if final else known - context
        if pitched - (not final) <= self._sourced:
            return
        first = max(self._start, self._sourced - context)
        f0 = maker.f0(self._mel[..., first - self._start :])
        f0 = f0[:, self._sourced - first : pitched - first]
        more = maker.extend(self._state, f0, final=final)
        self._source = more if self._source is None else torch.cat([self._source, more], dim=2)
        self._sourced = pitched if final else pitched - 1

    def _render(self, begin: int, end: int) -> Tensor:
        """The wave of frames self._emitted to `end`, of what is known from `begin` on."""
        assert self._mel is not None
        assert self._source is not None
        scale = self._vocoder.sizes.samples_per_frame
        skip = begin - self._start
        mel = self._mel[..., skip : self._sourced - self._start]
        wave = self._vocoder.hift(mel, self._source[..., skip * scale :])
        return wave[:, (self._emitted - begin) * scale : (end - begin) * scale]

    def _drop(self, start: int) -> None:
        """Forget what lies before frame `start`."""
        assert self._mel is not None
        assert self._source is not None
        count = start - self._start
        self._mel = self._mel[..., count:].clone()  # or the whole would stay in memory
        self._source = self._source[..., count * self._vocoder.sizes.samples_per_frame :].clone()
        self._start = start


class Stretch:
    """Another speed, by linear interpolation between mel frames."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._mel: Tensor | None = None  # [1, C, frames from self._start]
        self._start = 0
        self._made = 0

    @torch.inference_mode()
    def push(self, mel: Tensor, *, final: bool) -> Tensor:
        """`mel: [1, C, T]` → `[1, C, n]`, in all int(sum of T / speed) mel frames."""
        if self._speed == 1:
            return mel
        self._mel = mel if self._mel is None else torch.cat([self._mel, mel], dim=2)
        last = self._start + self._mel.shape[2] - 1
        end = int((last + 1) / self._speed)
        if not final:  # only what has its right neighbour
            end = min(end, math.ceil((last + 0.5) / self._speed - 0.5))
        made, self._made = self._made, max(end, self._made)
        place = torch.arange(made, self._made, dtype=torch.float64)
        place = ((place + 0.5) * self._speed - 0.5).clamp(0, max(last, 0))
        left = place.long()
        share = (place - left).to(self._mel.device, self._mel.dtype)
        before, after = (
            self._mel[..., (at.clamp(max=last) - self._start).to(self._mel.device)]
            for at in (left, left + 1)
        )
        self._drop(max(0, int((self._made + 0.5) * self._speed - 0.5)))
        return before + (after - before) * share

    def _drop(self, start: int) -> None:
        assert self._mel is not None
        start = max(self._start, min(start, self._start + self._mel.shape[2] - 1))
        self._mel = self._mel[..., start - self._start :].clone()
        self._start = start


def finished(wave: Tensor, sample_rate: int, *, first: bool, last: bool) -> Tensor:
    """A piece of an utterance with its edges mended: `[1, N]` → `[1, N]`.

    Args:
        first: the utterance begins with it: it rises from nothing, for `EDGE_MS`.
        last: the utterance ends with it: it falls to nothing, for `EDGE_MS`, and a noise in the
            last `TAIL_MS` is left out.
    """
    wave = wave.clone()
    edge, tail = sample_rate * EDGE_MS // 1000, sample_rate * TAIL_MS // 1000
    edge = min(edge, wave.shape[1] // 2)
    ramp = torch.arange(edge, device=wave.device) / max(edge, 1)
    if first:
        wave[:, :edge] *= ramp
    if last and edge:
        end = wave.shape[1]
        if _noisy(wave, tail):
            end -= tail
            wave[:, end:] = 0
        wave[:, end - edge : end] *= ramp.flip(0)
    return wave


def _noisy(wave: Tensor, tail: int) -> bool:
    if wave.shape[1] < 2 * tail:
        return False
    before, last = (part.square().mean().sqrt() for part in wave[:, -2 * tail :].chunk(2, dim=1))
    return bool(last > _LOUDER * before)


class ExactStream:
    """One utterance's mel → wave as the original streams it: for comparing with it."""

    def __init__(self, vocoder: Vocoder) -> None:
        self._vocoder = vocoder
        self._cache: _Cache | None = None

    def push(
        self,
        mel: Tensor,
        generator: torch.Generator,
        *,
        final: bool,
        speed: float = 1.0,
        source: Tensor | None = None,
    ) -> Tensor:
        """Take one call's mel frames.

        Args:
            mel: `[1, in_channels, T]`, those after the call before.
            generator: for this call's draws.
            final: no more will come; before that the last frames are held back.
            speed: other than 1 only if the first call is final.
            source: `[1, 1, samples]`: instead of drawing one.

        Returns:
            `[1, samples]`
        """
        return self.vocode(mel, generator, final=final, speed=speed, source=source).wave

    @torch.inference_mode()
    def vocode(
        self,
        mel: Tensor,
        generator: torch.Generator,
        *,
        final: bool,
        speed: float = 1.0,
        source: Tensor | None = None,
    ) -> Call:
        """The same with what led to it."""
        cache, mel = self._cache, mel.to(self._vocoder.device)
        if cache is not None:
            mel = torch.cat([cache.mel, mel], dim=2)
        elif final and speed != 1:
            mel = F.interpolate(mel, size=int(mel.shape[2] / speed), mode="linear")
        if source is None:
            source = self._vocoder.source.whole(self._vocoder.source.f0(mel), generator).source
        if cache is not None:
            source[..., : cache.source.shape[2]] = cache.source
        raw = self._vocoder.hift(mel, source)
        wave = raw if cache is None else cross_faded(raw, cache.wave)
        if not final:
            held = CACHED_FRAMES * self._vocoder.sizes.samples_per_frame
            self._cache = _Cache(mel[..., -CACHED_FRAMES:], source[..., -held:], wave[:, -held:])
            wave = wave[:, :-held]
        return Call(mel, source, raw, wave)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an `ExactStream`: what the vocoder got and gave, and what came out."""

    mel: Tensor
    source: Tensor
    raw: Tensor
    wave: Tensor


@dataclass(frozen=True, slots=True)
class _Cache:
    mel: Tensor
    source: Tensor
    wave: Tensor


def cross_faded(wave: Tensor, before: Tensor) -> Tensor:
    """`wave: [1, N]` whose beginning is faded in while `before: [1, M]` is faded out."""
    count = before.shape[1]
    window = torch.hamming_window(2 * count, periodic=False, dtype=torch.float64).to(wave.device)
    mixed = wave[:, :count] * window[:count] + before * window[count:]
    return torch.cat([mixed.to(wave.dtype), wave[:, count:]], dim=1)
