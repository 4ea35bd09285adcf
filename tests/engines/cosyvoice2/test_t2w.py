"""Speech tokens to wave, in any pieces and at any speed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cosyd.engines.cosyvoice2 import check_wave, flow, release
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.t2w import TokenToWave
from cosyd.engines.cosyvoice2.wave import ExactStream, Vocoder
from tests.engines.cosyvoice2.pieces import CPU, GOLDEN, SCALE, seeded

ROUNDING = 1e-5
"""Convolutions of other lengths add in another order; what they make is within ±0.99."""
PITCH_ROUNDING = 2e-3
"""The same of the f0, 1e-4 Hz, in the phase that sums it: sin(2π · 9 · 1e-4 · seconds), at most."""
CUTS = ([120], [60, 60], [1] * 30 + [90], [7] * 17 + [1], [50, 0, 0, 70], [119, 1], [120, 0])


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
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, seeded(), speed=speed)
    sounds, start = [], 0
    for count in cuts:
        utterance.write(tokens[start : start + count], final=start + count == len(tokens))
        start += count
        while utterance.ready:
            sounds.append(utterance.step())
    assert utterance.ended
    return sounds


@pytest.mark.usefixtures("plain_pitch")
def test_spoken_in_anypieces(vocoder: Vocoder, speech: Speech) -> None:
    whole = _spoken(vocoder, speech, [90])
    assert sum(len(sound) for sound in whole) == 90 * 2 * SCALE
    for cuts in ([1] * 90, [41, 49], [90, 0]):
        pieces = _spoken(vocoder, speech, cuts)
        assert [len(sound) for sound in pieces] == [len(sound) for sound in whole]
        assert all(torch.equal(a, b) for a, b in zip(pieces, whole, strict=True))


def test_the_first_sound_comes_after_the_first_hop(vocoder: Vocoder, speech: Speech) -> None:
    """37 tokens of prompt: 13 to the next whole block, 25 of hop, 3 seen ahead."""
    model, prompt, tokens = speech
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, seeded())
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
    utterance = TokenToWave(FlowStream(model, prompt), vocoder, seeded())
    utterance.write([], final=True)
    assert utterance.step().shape == (0,)
    assert utterance.ended
    assert not utterance.ready


def test_exact_streams_do_not_hear_each_other(vocoder: Vocoder, mel: Tensor) -> None:
    def call(stream: ExactStream, one: Tensor, index: int) -> Tensor:
        piece = one[..., index * 60 : index * 60 + 60]
        return stream.push(piece, seeded(index), final=index == 1)

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
    call = ExactStream(vocoder).vocode(mel, seeded(), final=True, speed=1.25)
    expected = F.interpolate(mel, size=96, mode="linear")
    assert torch.equal(call.mel, expected)
