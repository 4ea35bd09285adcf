"""Recordings and their spectrograms; those of the golden set are compared in test_wave.py."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import features
from cosyd.engines.cosyvoice2.features import PromptMelSizes, mel_bank, read, resampled
from cosyd.errors import BadAudio

RATE = 24_000


def _tone(
    rate: int, seconds: float = 1.5, hz: float = 440.0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def _file(samples: object, rate: int, kind: str) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples, rate, format=kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_recordings_of_every_kind_are_read(kind: str) -> None:
    recording = read(_file(_tone(RATE), RATE, kind))
    assert recording.sample_rate == RATE
    assert recording.wave.dtype == torch.float32
    assert abs(recording.wave.shape[1] - 1.5 * RATE) < 3000  # MP3 pads
    assert 0.3 < float(recording.wave[:, RATE // 4 : RATE].square().mean().sqrt()) < 0.4


def test_channels_are_averaged() -> None:
    left = _tone(RATE)
    stereo = np.stack([left, -0.5 * left], axis=1)
    wave = read(_file(stereo, RATE, "WAV")).wave
    assert np.abs(wave[0].numpy() - 0.25 * left).max() < 1e-4  # 16 bits


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "read"),
        (b"RIFF\0\0\0\0WAVEfmt ", "read"),
        (_file(_tone(RATE, 0.5), RATE, "WAV"), "0.5 s long"),
        (_file(_tone(8000, 31), 8000, "WAV"), "longer than 30 s"),
        (_file(np.zeros(RATE * 2), RATE, "WAV"), "silent"),
    ],
)
def test_unfit_recordings_are_told_why(data: bytes, why: str) -> None:
    with pytest.raises(BadAudio, match=why):
        read(data)


@given(st.binary(max_size=200))
def test_garbage_is_bad_audio(data: bytes) -> None:
    with pytest.raises(BadAudio):
        read(data)


@pytest.mark.parametrize("before", [8000, 16_000, 22_050, 44_100, 44_101, 48_000])
@pytest.mark.parametrize("after", [16_000, 24_000])
def test_a_tone_stays_a_tone(before: int, after: int) -> None:
    wave = torch.from_numpy(_tone(before)).float()[None]
    got = resampled(wave, before, after)
    assert got.shape[1] == math.ceil(wave.shape[1] * after / before)
    middle = slice(after // 4, after)
    expected = torch.from_numpy(_tone(after)).float()[middle]
    assert float((got[0, middle] - expected).abs().max()) < 2e-3


def test_the_mel_scale_is_slaneys() -> None:
    """3 mel are 200 Hz below 1 kHz; above, 27 of them are a factor of 6.4."""
    assert features._mel(200) == pytest.approx(3)
    assert features._mel(1000) == pytest.approx(15)
    assert features._mel(6400) == pytest.approx(42)


def test_triangles_have_the_same_area() -> None:
    bank = mel_bank(RATE, 1 << 15, 80, 0.0, 8000.0).double()
    area = bank.sum(1) * RATE / (1 << 15)
    assert float((area - 1).abs().max()) < 1e-3
    assert bank[:, int(8001 / RATE * (1 << 15)) :].sum() == 0
    assert bank.argmax(1).diff().min() > 0


def test_a_louder_prompt_is_higher_in_every_bin() -> None:
    noise = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0)) / 10
    sizes = PromptMelSizes()
    quiet, loud = (features.prompt_mel(wave, sizes) for wave in (noise, noise * 2))
    assert quiet.shape == (1, 80, 50)
    assert float((loud - quiet - math.log(2)).abs().max()) < 1e-2


def test_silence_has_a_floor() -> None:
    still = torch.zeros(1, RATE)
    assert torch.equal(
        features.prompt_mel(still, PromptMelSizes()), torch.full((1, 80, 50), 1e-5).log()
    )
    assert torch.isfinite(features.token_mel(still)).all()
    assert torch.isfinite(features.speaker_bank(still)).all()


def test_the_speakers_bank_is_centred() -> None:
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    assert float(features.speaker_bank(noise).mean(0).abs().max()) < 1e-4
