"""Mel and speech tokens to wave: against recorded arrays, and in pieces of any lengths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import check_wave, layout, release, wave
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.engines.cosyvoice2.wave import Stream, Vocoder
from cosyd.errors import ModelLoadFailed
from tests.engines.cosyvoice2.pieces import CPU, GOLDEN, SCALE, far, pieces, seeded, streamed

ROUNDING = 1e-5
"""Convolutions of other lengths add in another order; what they make is within ±0.99."""
PITCH_ROUNDING = 2e-3
"""The same of the f0, 1e-4 Hz, in the phase that sums it: sin(2π · 9 · 1e-4 · seconds), at most."""
CUTS = ([120], [60, 60], [1] * 30 + [90], [7] * 17 + [1], [50, 0, 0, 70], [119, 1], [120, 0])


# against the recorded arrays ---------------------------------------------------------------


@pytest.fixture(scope="module")
def checked() -> list[Row]:
    return list(check_wave.rows(GOLDEN))


def test_every_recorded_array_is_met(checked: list[Row]) -> None:
    assert [row for row in checked if not row.good] == []


def test_every_kind_of_array_was_compared(checked: list[Row]) -> None:
    stages = [row.stage for row in checked]
    assert {stage: stages.count(stage) for stage in stages} == {
        "hift": 9,
        "wave": 45,
        "source": 4,
        "features": 7,
        "t2w": 10,
    }


def test_the_check_fails_where_a_weight_is_wrong(
    opened: release.Release, tensors: dict[str, Tensor]
) -> None:
    name = "resblocks.4.convs1.1.weight"
    sizes = HiftSizes.read(opened.settings)
    wrong = wave.load(
        {**tensors, name: tensors[name] * 1.01}, sizes, device=CPU, dtype=torch.float32
    )
    arrays = check_wave._arrays(GOLDEN / "hift.npz")
    with torch.inference_mode():
        assert not all(row.good for row in check_wave._vocoder(wrong, 1234, arrays))


# loading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["conv_pre.bias", "resblocks.8.activations2.2.alpha", "f0_predictor.classifier.weight"]
)
def test_a_missing_tensor_is_named(vocoder: Vocoder, tensors: dict[str, Tensor], name: str) -> None:
    short = {key: tensor for key, tensor in tensors.items() if key != name}
    with pytest.raises(ModelLoadFailed, match=name):
        wave.load(short, vocoder.sizes, device=CPU, dtype=torch.float32)


def test_a_tensor_too_many_is_named(vocoder: Vocoder, tensors: dict[str, Tensor]) -> None:
    more = {**tensors, "resblocks.9.convs1.0.weight": torch.zeros(1)}
    with pytest.raises(ModelLoadFailed, match=r"hift.pt.*resblocks\.9"):
        wave.load(more, vocoder.sizes, device=CPU, dtype=torch.float32)


def test_a_tensor_of_another_shape_is_named(vocoder: Vocoder, tensors: dict[str, Tensor]) -> None:
    other = {**tensors, "ups.1.weight": torch.zeros(32, 16, 12)}
    with pytest.raises(ModelLoadFailed, match=r"ups\.1\.weight"):
        wave.load(other, vocoder.sizes, device=CPU, dtype=torch.float32)


def test_the_defaults_are_the_releases_sizes() -> None:
    """The tiny release differs in its widths only."""
    tiny = HiftSizes.read(layout.read_settings(GOLDEN))
    assert (tiny.base_channels, tiny.cond_channels) == (64, 32)
    assert HiftSizes(base_channels=64, cond_channels=32) == tiny


# streaming: pieces are the whole -----------------------------------------------------------


@pytest.mark.usefixtures("plain_pitch")
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_pieces_are_the_whole(vocoder: Vocoder, mel: Tensor, cuts: list[int]) -> None:
    (whole,) = streamed(vocoder, mel, [120])
    assert whole.shape == (1, 120 * SCALE)
    assert far(torch.cat(streamed(vocoder, mel, cuts), 1), whole) < ROUNDING


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_pieces_are_the_whole_with_the_models_pitch(
    vocoder: Vocoder, mel: Tensor, cuts: list[int]
) -> None:
    (whole,) = streamed(vocoder, mel, [120])
    assert far(torch.cat(streamed(vocoder, mel, cuts), 1), whole) < PITCH_ROUNDING


@pytest.mark.usefixtures("plain_pitch")
@pytest.mark.parametrize("frames", [0, 1, 2, 5, 21, 22, 23])
def test_short_ones_come_at_the_end(vocoder: Vocoder, mel: Tensor, frames: int) -> None:
    stream = Stream(vocoder, seeded())
    early = stream.push(mel[..., :frames], final=False)
    late = stream.push(mel[..., :0], final=True)
    (whole,) = streamed(vocoder, mel[..., :frames], [frames])
    assert early.shape[1] == max(0, frames - vocoder.lookahead) * SCALE
    assert whole.shape == (1, frames * SCALE)
    assert far(torch.cat([early, late], 1), whole) < ROUNDING


@pytest.mark.usefixtures("plain_pitch")
def test_the_whole_is_what_the_original_makes(vocoder: Vocoder, mel: Tensor) -> None:
    """The same noise in; only the phase is summed more finely."""
    noise = torch.randn(1, 120 * SCALE, 9, generator=seeded())
    with torch.inference_mode():
        original = vocoder.source.given(vocoder.source.f0(mel), noise).source
        expected = vocoder.hift(mel, original)
    (whole,) = streamed(vocoder, mel, [120])
    assert far(whole, expected) < 1e-3  # float32 phases of 1e4 rad are known to 1e-3


@pytest.mark.usefixtures("plain_pitch")
def test_no_sample_looks_further_than_the_lookahead(vocoder: Vocoder, mel: Tensor) -> None:
    """What was given out early is final: another future would not have changed it."""
    other = mel.clone()
    other[..., 80:] += 1
    pieces = [streamed(vocoder, way, [80, 40])[0] for way in (mel, other)]
    assert pieces[0].shape[1] == (80 - vocoder.lookahead) * SCALE
    wholes = [streamed(vocoder, way, [120])[0] for way in (mel, other)]
    same = (80 - vocoder.lookahead) * SCALE
    assert far(wholes[0][:, :same], wholes[1][:, :same]) < ROUNDING
    assert far(wholes[0][:, : 80 * SCALE], wholes[1][:, : 80 * SCALE]) > 1e-3


def test_utterances_do_not_hear_each_other(vocoder: Vocoder, mel: Tensor) -> None:
    cuts = [50, 30, 40]
    others = (mel, mel.flip(2))
    alone = [streamed(vocoder, one, cuts) for one in others]
    streams = [Stream(vocoder, seeded()) for _ in others]
    together: list[list[Tensor]] = [[], []]
    both = zip(*(pieces(one, cuts) for one in others), strict=True)
    for parts in both:
        for stream, (piece, final), out in zip(streams, parts, together, strict=True):
            out.append(stream.push(piece, final=final))
    for one, two in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_stream_keeps_no_more_than_it_needs(vocoder: Vocoder, mel: Tensor) -> None:
    stream = Stream(vocoder, seeded())
    kept = []
    for _ in range(12):
        stream.push(mel[..., :50], final=False)
        assert stream._mel is not None
        kept.append(stream._mel.untyped_storage().nbytes())
    assert kept[1:] == kept[1:2] * 11


# joins -------------------------------------------------------------------------------------


def _hum(frames: int) -> Tensor:
    """A mel like a vowel's: smooth in time and in frequency."""
    time = torch.arange(frames) / 50
    bins = torch.arange(80.0)[:, None]
    formants = sum(
        torch.exp(-((bins - middle - 4 * torch.sin(2 * torch.pi * time)) ** 2) / 40)
        for middle in (12.0, 30.0, 52.0)
    )
    return (3 * torch.as_tensor(formants) - 5)[None].float()


def _flux(sound: Tensor, at: Sequence[int]) -> Tensor:
    """How much the spectrum changes at each of some samples: 5 ms before against 5 ms after."""
    window = torch.hann_window(240)
    changes = []
    for sample in at:
        before, after = (
            torch.fft.rfft(sound[start : start + 240] * window).abs()
            for start in (sample - 240, sample)
        )
        changes.append(((after - before) ** 2).sum().sqrt())
    return torch.stack(changes)


def test_joins_are_not_heard(vocoder: Vocoder) -> None:
    """First differences and spectral flux at joins are not above those between them."""
    cuts = [50, 50, 100]
    pieces = [piece[0] for piece in streamed(vocoder, _hum(200), cuts)]
    sound = torch.cat(pieces)
    joins = list(itertools.accumulate(len(piece) for piece in pieces))[:-1]
    inside = [at for at in range(480, len(sound) - 480, 240) if at not in joins]
    steps = sound.diff().abs()
    elsewhere = torch.ones(len(steps), dtype=torch.bool)
    elsewhere[[at - 1 for at in joins]] = False
    assert len(joins) == 2
    assert steps[[at - 1 for at in joins]].max() <= steps[elsewhere].max()
    assert _flux(sound, joins).max() <= _flux(sound, inside).max()


def test_the_measures_hear_a_click(vocoder: Vocoder) -> None:
    (piece,) = streamed(vocoder, _hum(200), [200])
    sound = piece[0].clone()
    join = 96 * SCALE
    inside = range(480, len(sound) - 480, 240)
    sound[join:] += 4 * sound.diff().abs().max()
    assert sound.diff().abs().argmax() == join - 1
    assert _flux(sound, [join]).max() >= _flux(sound, inside).max()


# other types -------------------------------------------------------------------------------


def test_half_precision_is_close(vocoder: Vocoder, tensors: dict[str, Tensor], mel: Tensor) -> None:
    half = wave.load(tensors, vocoder.sizes, device=CPU, dtype=torch.bfloat16)
    with torch.inference_mode():
        made = vocoder.source.whole(vocoder.source.f0(mel), seeded()).source
        full, other = vocoder.hift(mel, made), half.hift(mel, made)
    assert other.dtype == torch.float32
    assert float((full - other).norm() / full.norm()) < 0.1  # bfloat16 has 8 bits
