"""A recording → the features that a voice is made of: three spectrograms of it, one for each user.

`prompt_mel` for the flow (24 kHz), `speaker_bank` for the speaker encoder and `token_mel` for the
speech tokenizer (16 kHz both). All on the CPU in float32: once per voice.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import soundfile
import soxr
import torch
import torch.nn.functional as F

from cosyd.errors import BadAudio
from cosyd.voices.recording import fault

if TYPE_CHECKING:
    from torch import Tensor

    from cosyd.engines.cosyvoice2.layout import Settings

FEATURE_RATE: Final = 16_000
"""Hz, for `speaker_bank` and `token_mel`."""
SPEAKER_BINS: Final = 80
TOKEN_BINS: Final = 128
_TOKEN_N_FFT, _TOKEN_HOP = 400, 160
_TOKEN_RANGE = 8.0
"""What lies further below the loudest is raised to there, in powers of ten."""
_MOST_TAPS: Final = 4_000_000
"""Of a table of filters: 16 MB."""

# The mel scale after Slaney's Auditory Toolbox: linear to 1 kHz, then 27 steps per factor 6.4.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = math.log(6.4) / 27


@dataclass(frozen=True, slots=True)
class PromptMelSizes:
    """Sizes of the flow's mel, named as in the release's yaml."""

    sampling_rate: int = 24_000
    n_fft: int = 1920
    hop_size: int = 480
    win_size: int = 1920
    num_mels: int = 80
    fmin: float = 0.0
    fmax: float = 8000.0

    @classmethod
    def read(cls, settings: Settings) -> PromptMelSizes:
        """From a release's settings.

        Raises:
            cosyd.errors.ModelLoadFailed: a number is missing or none.
        """

        def integer(name: str) -> int:
            return settings.integer(f"feat_extractor.{name}")

        return cls(
            integer("sampling_rate"),
            integer("n_fft"),
            integer("hop_size"),
            integer("win_size"),
            integer("num_mels"),
            settings.number("feat_extractor.fmin"),
            settings.number("feat_extractor.fmax"),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What somebody said, in one channel.

    Attributes:
        wave: float32 `[1, samples]`, about ±1.
        sample_rate: Hz.
    """

    wave: Tensor
    sample_rate: int

    def at(self, sample_rate: int) -> Tensor:
        """float32 `[1, samples]` at another rate."""
        return resampled(self.wave, self.sample_rate, sample_rate)


def read(data: bytes) -> Recording:
    """A recording out of a WAV, FLAC, OGG or MP3 file's bytes; several channels are averaged.

    Raises:
        BadAudio: unreadable, too short, too long or silent; the message says which.
    """
    wrong = fault(data)
    if wrong is not None:
        raise BadAudio(wrong)
    samples, sample_rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return Recording(torch.from_numpy(samples).mean(dim=1)[None], int(sample_rate))


def resampled(wave: Tensor, before: int, after: int) -> Tensor:
    """`wave: [1, N]` at `before` Hz → `[1, ceil(N * after / before)]`, by a windowed sinc."""
    if before == after:
        return wave
    divisor = math.gcd(before, after)
    if before // divisor * (after // divisor) > _MOST_TAPS:
        return _oddly_resampled(wave, before, after)
    from torchaudio.functional import resample  # half a second: only where a voice is made

    made: Tensor = resample(wave, before, after)
    return made


def _oddly_resampled(wave: Tensor, before: int, after: int) -> Tensor:
    """The same at rates with no small ratio, for which the table of filters would fill memory."""
    made = soxr.resample(wave[0].numpy(), before, after)
    count = -(-wave.shape[1] * after // before)
    return F.pad(torch.from_numpy(made)[None, :count], (0, max(0, count - len(made))))


def prompt_mel(wave: Tensor, sizes: PromptMelSizes) -> Tensor:
    """The flow's mel: `wave: [1, N]` at its rate → `[1, num_mels, N // hop_size]`, natural log."""
    margin = (sizes.n_fft - sizes.hop_size) // 2
    wave = F.pad(wave[:, None], (margin, margin), mode="reflect")[:, 0]
    spectrum = torch.stft(
        wave,
        sizes.n_fft,
        sizes.hop_size,
        sizes.win_size,
        torch.hann_window(sizes.win_size),
        center=False,
        return_complex=True,
    )
    magnitude = (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()
    bank = mel_bank(sizes.sampling_rate, sizes.n_fft, sizes.num_mels, sizes.fmin, sizes.fmax)
    return (bank @ magnitude).clamp(min=1e-5).log()


def speaker_bank(wave: Tensor) -> Tensor:
    """The speaker encoder's input: `wave: [1, N]` at 16 kHz → `[T, 80]`, T = 100 a second.

    Kaldi's log filter bank, in the middle of its range over time.
    """
    bank = kaldi_bank(wave)
    return bank - bank.mean(dim=0, keepdim=True)


def kaldi_bank(wave: Tensor) -> Tensor:
    """Kaldi's log filter bank: `wave: [1, N]` at 16 kHz → `[T, 80]`."""
    from torchaudio.compliance.kaldi import fbank

    bank: Tensor = fbank(
        wave, num_mel_bins=SPEAKER_BINS, dither=0.0, sample_frequency=float(FEATURE_RATE)
    )
    return bank


def token_mel(wave: Tensor) -> Tensor:
    """The speech tokenizer's input: `wave: [1, N]` at 16 kHz → `[1, 128, N // 160]`.

    Whisper's log mel: within 8 powers of ten below the loudest, then brought to about ±1.
    """
    spectrum = torch.stft(
        wave,
        _TOKEN_N_FFT,
        _TOKEN_HOP,
        window=torch.hann_window(_TOKEN_N_FFT),
        return_complex=True,
    )
    power = torch.view_as_real(spectrum[..., :-1]).square().sum(-1)
    bank = mel_bank(FEATURE_RATE, _TOKEN_N_FFT, TOKEN_BINS, 0.0, FEATURE_RATE / 2)
    level = (bank @ power).clamp(min=1e-10).log10()
    return (level.clamp(min=level.max() - _TOKEN_RANGE) + 4) / 4


def mel_bank(sample_rate: int, n_fft: int, bins: int, fmin: float, fmax: float) -> Tensor:
    """float32 `[bins, n_fft // 2 + 1]`: triangles of area 1 that each rise from the middle of the
    one before and fall to that of the next, equally far apart in mel."""
    span = torch.linspace(_mel(fmin), _mel(fmax), bins + 2, dtype=torch.float64)
    beyond = _BREAK_HZ * ((span - _BREAK_HZ / _HZ_PER_MEL) * _LOG_STEP).exp()
    corners = torch.where(span < _BREAK_HZ / _HZ_PER_MEL, span * _HZ_PER_MEL, beyond)
    left, middle, right = (corners[at : at + bins, None] for at in range(3))
    frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    rising = (frequency - left) / (middle - left)
    falling = (right - frequency) / (right - middle)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (right - left)).float()


def _mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return _BREAK_HZ / _HZ_PER_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP
