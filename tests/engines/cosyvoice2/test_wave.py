"""Mel and speech tokens to wave: against recorded arrays, and in pieces of any lengths."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyd.engines.cosyvoice2 import check_wave, flow, hift, layout, release, wave
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.source import Source, SourceState
from cosyd.engines.cosyvoice2.t2w import TokenToWave
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.engines.cosyvoice2.wave import ExactStream, Stream, Stretch, Vocoder, finished
from cosyd.errors import ModelLoadFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
CPU = torch.device("cpu")
SCALE = 480
ROUNDING = 1e-5
"""Convolutions of other lengths add in another order; what they make is within ±0.99."""
PITCH_ROUNDING = 2e-3
"""The same of the f0, 1e-4 Hz, in the phase that sums it: sin(2π · 9 · 1e-4 · seconds), at most."""
CUTS = ([120], [60, 60], [1] * 30 + [90], [7] * 17 + [1], [50, 0, 0, 70], [119, 1], [120, 0])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def opened() -> release.Release:
    return release.Release(GOLDEN)


@pytest.fixture(scope="module")
def tensors(opened: release.Release) -> dict[str, Tensor]:
    return opened.hift()


@pytest.fixture(scope="module")
def vocoder(opened: release.Release, tensors: dict[str, Tensor]) -> Vocoder:
    sizes = HiftSizes.read(opened.settings)
    return wave.load(tensors, sizes, device=CPU, dtype=torch.float32)


@pytest.fixture(scope="module")
def mel() -> Tensor:
    """float32 [1, 80, 120]: what the flow made of random tokens."""
    with np.load(GOLDEN / "t2w_nonstream.npz") as arrays:
        return torch.from_numpy(arrays["call0.flow_mel"])[..., :120]


@pytest.fixture
def plain_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An f0 that is the same to the last bit however it is cut: voiced here, unvoiced there."""

    def f0(_: Source, mel: Tensor) -> Tensor:
        return (mel[:, 3] * 60).abs()

    monkeypatch.setattr(Source, "f0", f0)


def _seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _pieces(mel: Tensor, cuts: Sequence[int]) -> Iterator[tuple[Tensor, bool]]:
    """Each piece, and whether it is the last."""
    ends = itertools.accumulate(cuts)
    for index, (count, end) in enumerate(zip(cuts, ends, strict=True)):
        yield mel[..., end - count : end], index == len(cuts) - 1


def _streamed(vocoder: Vocoder, mel: Tensor, cuts: Sequence[int]) -> list[Tensor]:
    stream = Stream(vocoder, _seeded())
    return [stream.push(piece, final=final) for piece, final in _pieces(mel, cuts)]


def _far(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max()) if a.numel() else 0.0


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
    (whole,) = _streamed(vocoder, mel, [120])
    assert whole.shape == (1, 120 * SCALE)
    assert _far(torch.cat(_streamed(vocoder, mel, cuts), 1), whole) < ROUNDING


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_pieces_are_the_whole_with_the_models_pitch(
    vocoder: Vocoder, mel: Tensor, cuts: list[int]
) -> None:
    (whole,) = _streamed(vocoder, mel, [120])
    assert _far(torch.cat(_streamed(vocoder, mel, cuts), 1), whole) < PITCH_ROUNDING


@pytest.mark.usefixtures("plain_pitch")
@pytest.mark.parametrize("frames", [0, 1, 2, 5, 21, 22, 23])
def test_short_ones_come_at_the_end(vocoder: Vocoder, mel: Tensor, frames: int) -> None:
    stream = Stream(vocoder, _seeded())
    early = stream.push(mel[..., :frames], final=False)
    late = stream.push(mel[..., :0], final=True)
    (whole,) = _streamed(vocoder, mel[..., :frames], [frames])
    assert early.shape[1] == max(0, frames - vocoder.lookahead) * SCALE
    assert whole.shape == (1, frames * SCALE)
    assert _far(torch.cat([early, late], 1), whole) < ROUNDING


@pytest.mark.usefixtures("plain_pitch")
def test_the_whole_is_what_the_original_makes(vocoder: Vocoder, mel: Tensor) -> None:
    """The same noise in; only the phase is summed more finely."""
    noise = torch.randn(1, 120 * SCALE, 9, generator=_seeded())
    with torch.inference_mode():
        original = vocoder.source.given(vocoder.source.f0(mel), noise).source
        expected = vocoder.hift(mel, original)
    (whole,) = _streamed(vocoder, mel, [120])
    assert _far(whole, expected) < 1e-3  # float32 phases of 1e4 rad are known to 1e-3


@pytest.mark.usefixtures("plain_pitch")
def test_no_sample_looks_further_than_the_lookahead(vocoder: Vocoder, mel: Tensor) -> None:
    """What was given out early is final: another future would not have changed it."""
    other = mel.clone()
    other[..., 80:] += 1
    pieces = [_streamed(vocoder, way, [80, 40])[0] for way in (mel, other)]
    assert pieces[0].shape[1] == (80 - vocoder.lookahead) * SCALE
    wholes = [_streamed(vocoder, way, [120])[0] for way in (mel, other)]
    same = (80 - vocoder.lookahead) * SCALE
    assert _far(wholes[0][:, :same], wholes[1][:, :same]) < ROUNDING
    assert _far(wholes[0][:, : 80 * SCALE], wholes[1][:, : 80 * SCALE]) > 1e-3


def test_utterances_do_not_hear_each_other(vocoder: Vocoder, mel: Tensor) -> None:
    cuts = [50, 30, 40]
    others = (mel, mel.flip(2))
    alone = [_streamed(vocoder, one, cuts) for one in others]
    streams = [Stream(vocoder, _seeded()) for _ in others]
    together: list[list[Tensor]] = [[], []]
    pieces = zip(*(_pieces(one, cuts) for one in others), strict=True)
    for parts in pieces:
        for stream, (piece, final), out in zip(streams, parts, together, strict=True):
            out.append(stream.push(piece, final=final))
    for one, two in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_stream_keeps_no_more_than_it_needs(vocoder: Vocoder, mel: Tensor) -> None:
    stream = Stream(vocoder, _seeded())
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
    pieces = [piece[0] for piece in _streamed(vocoder, _hum(200), cuts)]
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
    (piece,) = _streamed(vocoder, _hum(200), [200])
    sound = piece[0].clone()
    join = 96 * SCALE
    inside = range(480, len(sound) - 480, 240)
    sound[join:] += 4 * sound.diff().abs().max()
    assert sound.diff().abs().argmax() == join - 1
    assert _flux(sound, [join]).max() >= _flux(sound, inside).max()


# source ------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_the_sources_pieces_are_its_whole(cuts: list[int], seed: int) -> None:
    maker = _source()
    f0 = torch.rand(1, sum(cuts) + 1, generator=_seeded(seed)) * 400 - 20
    f0 = f0.clamp(min=0)
    whole = maker.extend(SourceState(_seeded(seed)), f0, final=True)
    state, pieces, start = SourceState(_seeded(seed)), [], 0
    for count in cuts:
        pieces.append(maker.extend(state, f0[:, start : start + count + 1], final=False))
        start += count
    pieces.append(maker.extend(state, f0[:, start:], final=True))
    assert _far(torch.cat(pieces, 2), whole) < 1e-6


def _source() -> Source:
    sizes = HiftSizes(cond_channels=4)
    zero = torch.zeros(1)
    convs = tuple(hift.Conv(zero, zero) for _ in range(5))
    return Source(sizes, convs, (zero, zero), (torch.ones(1, 9) / 9, zero))


def test_a_steady_pitch_has_a_steady_phase() -> None:
    """Against sines in float64: 200 Hz and its harmonics for 20 s, in pieces of 0.1 s."""
    maker, state = _source(), SourceState(_seeded())
    f0 = torch.full((1, 6), 200.0)
    sound = torch.cat([maker.extend(state, f0, final=False) for _ in range(200)], 2)[0, 0]
    turns = torch.arange(len(sound), dtype=torch.float64) - (SCALE / 2 - 0.5)
    turns = turns * 200 / 24_000 + 200 * SCALE / 24_000
    pure = sum(torch.sin(2 * torch.pi * turns * harmonic) for harmonic in range(1, 10))
    expected = torch.tanh(0.1 * torch.as_tensor(pure) / 9)[SCALE:]
    error = sound[SCALE:].double() - expected
    assert float(error.square().mean().sqrt()) < 1.1 * 0.003 / 3  # nothing but the noise
    late = error[-24_000:].square().mean() / error[:24_000].square().mean()
    assert 0.9 < float(late) < 1.1


# speed -------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    speed=st.floats(0.5, 2.0).filter(lambda value: value != 1),
    cuts=st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(lambda cuts: sum(cuts) > 1),
)
def test_stretched_pieces_are_the_stretched_whole(speed: float, cuts: list[int]) -> None:
    frames = torch.randn(1, 3, sum(cuts), generator=_seeded())
    stretch = Stretch(speed)
    pieces = _pieces(frames, cuts)
    got = torch.cat([stretch.push(piece, final=final) for piece, final in pieces], 2)
    assert got.shape[2] == int(sum(cuts) / speed)
    if got.shape[2]:
        places = ((np.arange(got.shape[2]) + 0.5) * speed - 0.5).clip(0, sum(cuts) - 1)
        for channel, row in enumerate(frames[0].double().numpy()):
            expected = np.interp(places, np.arange(sum(cuts)), row)
            assert np.abs(got[0, channel].numpy() - expected).max() < 1e-5


def test_speed_one_leaves_the_mel_alone() -> None:
    frames = torch.randn(1, 3, 5)
    assert Stretch(1.0).push(frames, final=False) is frames


# edges -------------------------------------------------------------------------------------


def test_edges_rise_and_fall() -> None:
    sound = torch.full((1, 24_000), 0.5)
    got = finished(sound, 24_000, first=True, last=True)
    assert got[0, 0] == got[0, -1] == 0
    assert torch.equal(got[:, 120:-120], sound[:, 120:-120])
    assert float(got.diff().abs().max()) < 0.5 / 119
    assert torch.equal(finished(sound, 24_000, first=False, last=False), sound)


def test_noise_at_the_very_end_is_left_out() -> None:
    sound = 0.001 * torch.randn(1, 24_000, generator=_seeded())
    sound[:, :12_000] *= 200  # speech, then silence, then a burst of 40 ms
    sound[:, -960:] *= 50
    got = finished(sound, 24_000, first=False, last=True)
    assert got.shape == sound.shape
    assert float(got[:, -960:].abs().max()) == 0
    assert torch.equal(got[:, : -960 - 120], sound[:, : -960 - 120])


def test_a_voice_that_dies_away_is_kept() -> None:
    sound = torch.sin(torch.arange(24_000) * 0.05)[None] * torch.linspace(1, 0.1, 24_000)
    got = finished(sound, 24_000, first=False, last=True)
    assert torch.equal(got[:, :-120], sound[:, :-120])


@pytest.mark.parametrize("samples", [0, 1, 3, 100, 1000])
def test_short_sounds_have_edges_too(samples: int) -> None:
    got = finished(torch.ones(1, samples), 24_000, first=True, last=True)
    assert got.shape == (1, samples)
    assert samples < 2 or got[0, 0] == got[0, -1] == 0


# other types -------------------------------------------------------------------------------


def test_half_precision_is_close(vocoder: Vocoder, tensors: dict[str, Tensor], mel: Tensor) -> None:
    half = wave.load(tensors, vocoder.sizes, device=CPU, dtype=torch.bfloat16)
    with torch.inference_mode():
        made = vocoder.source.whole(vocoder.source.f0(mel), _seeded()).source
        full, other = vocoder.hift(mel, made), half.hift(mel, made)
    assert other.dtype == torch.float32
    assert float((full - other).norm() / full.norm()) < 0.1  # bfloat16 has 8 bits


# speech tokens to wave ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def speech(opened: release.Release) -> tuple[flow.Flow, flow.FlowPrompt, list[int]]:
    sizes = flow.FlowSizes.read(opened.settings)
    model = flow.load(opened.flow(), sizes, device=CPU, dtype=torch.float32)
    arrays = check_wave._arrays(GOLDEN / "t2w_stream_hop25.npz")
    prompt = model.prompt(arrays["prompt_token"], arrays["prompt_feat"], arrays["embedding"])
    return model, prompt, arrays["token"][0, :90].tolist()


Speech = tuple[flow.Flow, flow.FlowPrompt, list[int]]


def _spoken(
    vocoder: Vocoder, speech: Speech, cuts: Sequence[int], *, speed: float = 1.0
) -> list[Tensor]:
    model, prompt, tokens = speech
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, _seeded(), speed=speed)
    sounds, start = [], 0
    for count in cuts:
        utterance.write(tokens[start : start + count], final=start + count == len(tokens))
        start += count
        while utterance.ready:
            sounds.append(utterance.step())
    assert utterance.ended
    return sounds


@pytest.mark.usefixtures("plain_pitch")
def test_spoken_in_any_pieces(vocoder: Vocoder, speech: Speech) -> None:
    whole = _spoken(vocoder, speech, [90])
    assert sum(len(sound) for sound in whole) == 90 * 2 * SCALE
    for cuts in ([1] * 90, [41, 49], [90, 0]):
        pieces = _spoken(vocoder, speech, cuts)
        assert [len(sound) for sound in pieces] == [len(sound) for sound in whole]
        assert all(torch.equal(a, b) for a, b in zip(pieces, whole, strict=True))


def test_the_first_sound_comes_after_the_first_hop(vocoder: Vocoder, speech: Speech) -> None:
    """37 tokens of prompt: 13 to the next whole block, 25 of hop, 3 seen ahead."""
    model, prompt, tokens = speech
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, _seeded())
    utterance.write(tokens[:40], final=False)
    assert not utterance.ready
    with pytest.raises(ValueError, match="tokens"):
        utterance.step()
    utterance.write(tokens[40:41], final=False)
    assert utterance.ready
    assert len(utterance.step()) == (38 * 2 - vocoder.lookahead) * SCALE
    assert not utterance.ended


@pytest.mark.parametrize("speed", [0.8, 1.3])
def test_speed_changes_the_duration(vocoder: Vocoder, speech: Speech, speed: float) -> None:
    sounds = _spoken(vocoder, speech, [90], speed=speed)
    assert sum(len(sound) for sound in sounds) == int(180 / speed) * SCALE


def test_nothing_to_say_is_no_sound(vocoder: Vocoder, speech: Speech) -> None:
    model, prompt, _ = speech
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, _seeded())
    utterance.write([], final=True)
    assert utterance.step().shape == (0,)
    assert utterance.ended
    assert not utterance.ready


def test_exact_streams_do_not_hear_each_other(vocoder: Vocoder, mel: Tensor) -> None:
    def call(stream: ExactStream, one: Tensor, index: int) -> Tensor:
        piece = one[..., index * 60 : index * 60 + 60]
        return stream.push(piece, _seeded(index), final=index == 1)

    alone = [
        [call(stream, one, index) for index in range(2)]
        for one, stream in ((one, ExactStream(vocoder)) for one in (mel, mel.flip(2)))
    ]
    first, second = ExactStream(vocoder), ExactStream(vocoder)
    together = [(call(first, mel, index), call(second, mel.flip(2), index)) for index in range(2)]
    for index in range(2):
        assert torch.equal(alone[0][index], together[index][0])
        assert torch.equal(alone[1][index], together[index][1])


def test_the_original_interpolates_the_whole_mel(vocoder: Vocoder, mel: Tensor) -> None:
    call = ExactStream(vocoder).vocode(mel, _seeded(), final=True, speed=1.25)
    expected = F.interpolate(mel, size=96, mode="linear")
    assert torch.equal(call.mel, expected)
