"""The whole chain: chunked equals offline, levels, encodings and refusals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cosyd.audio.chain import Chain, NotFinite, to_f32le, to_s16le
from tests.audio.signals import CHUNKINGS, Samples, chunks, noise, sine


def run(chain: Chain, x: Samples, sizes: Sequence[int]) -> bytes:
    return b"".join(chain.process(chunk) for chunk in chunks(x, sizes)) + chain.flush()


@pytest.mark.parametrize("sizes", CHUNKINGS, ids=str)
@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
@pytest.mark.parametrize("out_rate", [24_000, 48_000])
def test_chunked_equals_offline(sizes: list[int], encoding: str, out_rate: int) -> None:
    x = noise(6_007, 0.5)
    offline = run(Chain(24_000, out_rate, 1.7, encoding), x, [x.size])
    assert run(Chain(24_000, out_rate, 1.7, encoding), x, sizes) == offline


@pytest.mark.parametrize("out_rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("size", [0, 1, 100, 24_001])
def test_length(out_rate: int, size: int) -> None:
    pcm = run(Chain(24_000, out_rate, 1.0, "s16le"), noise(size), [480])
    assert abs(len(pcm) / 2 - size * out_rate / 24_000) <= 1


def test_equal_rates_and_unit_gain_are_exact() -> None:
    x = noise(5_000)
    assert run(Chain(24_000, 24_000, 1.0, "f32le"), x, [480]) == x.tobytes()


def test_the_gain_is_applied() -> None:
    pcm = run(Chain(24_000, 48_000, 0.5, "s16le"), sine(440, 0.5, 24_000, 0.8), [480])
    wanted = sine(440, 0.5, 48_000, 0.4)
    middle = slice(2_400, -2_400)
    got = np.frombuffer(pcm, "<i2")[middle] / 32768
    assert np.abs(got - wanted[middle]).max() < 1e-4  # 3 steps of 16 bits


@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
def test_loud_input_stays_under_minus_1_dbfs(encoding: str) -> None:
    pcm = run(Chain(24_000, 48_000, 20.0, encoding), noise(12_000, 0.3), [480])
    ceiling = 10 ** (-1 / 20)
    if encoding == "s16le":
        assert np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() <= round(ceiling * 32768)
    else:
        assert np.abs(np.frombuffer(pcm, "<f4")).max() <= np.float32(ceiling)


def test_zero_volume_is_silence() -> None:
    assert not any(run(Chain(24_000, 48_000, 0.0, "s16le"), noise(1_000), [100]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad: float) -> None:
    x = noise(480)
    x[479] = bad
    chain = Chain(24_000, 48_000, 1.0, "s16le")
    chain.process(noise(480))
    with pytest.raises(NotFinite, match="not numbers"):
        chain.process(x)
    assert issubclass(NotFinite, ValueError)


def test_s16le_rounds_and_clips() -> None:
    x = np.array([0, 1 / 32768, 0.6 / 32768, -0.6 / 32768, 1.0, 2.0, -1.0, -2.0], np.float32)
    wanted = [0, 1, 1, -1, 32767, 32767, -32768, -32768]
    assert np.frombuffer(to_s16le(x), "<i2").tolist() == wanted
    assert to_s16le(np.array([1 / 128], np.float32)) == b"\x00\x01"


def test_f32le_is_little_endian() -> None:
    assert to_f32le(np.array([1.0], np.float32)) == b"\x00\x00\x80\x3f"


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"s16le, f32le, not 'mp3'"):
        Chain(24_000, 48_000, 1.0, "mp3")
