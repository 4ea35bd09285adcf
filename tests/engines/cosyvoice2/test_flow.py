"""The flow equals the recorded arrays; streams equal the whole, at the cost of what is new."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import check_flow, flow, release, shapes
from cosyd.engines.cosyvoice2.cfm import NOISE_FRAMES
from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt, FlowSizes
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.errors import BadRequest, ModelLoadFailed, TextTooLong

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "cosyvoice2"
MEL: Final = 1e-4
"""Tolerance of a mel in float32; the reference's own rounding is 4e-6."""
CPU: Final = torch.device("cpu")
RATIO: Final = 2
STEPS: Final = 2
HOPS: Final = ((25,), (25, 50, 100), (100,), (50, 25), (0, 25, 50))


@pytest.fixture(scope="module", autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)  # tiny matrices: threads only wait for each other


@pytest.fixture(scope="module")
def sizes() -> FlowSizes:
    """With fewer Euler steps than the release's ten, which the recorded arrays are matched with."""
    return replace(FlowSizes.read(release.read_settings(GOLDEN)), steps=STEPS)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = torch.load(GOLDEN / "flow.pt", weights_only=True)
    return loaded


@pytest.fixture(scope="module")
def network(tensors: dict[str, Tensor], sizes: FlowSizes) -> Flow:
    return flow.load(tensors, sizes, device=CPU, dtype=torch.float32)


def made_voice(network: Flow, length: int, *, seed: int = 3, warm: bool = True) -> FlowPrompt:
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(network.sizes.vocabulary, (1, length), generator=random)
    mel = torch.randn(1, RATIO * length, network.sizes.estimator.mel, generator=random)
    embedding = torch.randn(1, network.sizes.speaker, generator=random)
    return network.prompt(tokens, mel, embedding, warm=warm)


def speech(network: Flow, length: int, *, seed: int = 5) -> list[int]:
    random = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(network.sizes.vocabulary, (length,), generator=random).tolist()
    return ids


def spoken(stream: FlowStream, tokens: list[int], *, exact_upstream: bool = False) -> list[Tensor]:
    stream.push(tokens)
    parts = []
    while stream.ready:
        parts.append(stream.step())
    return [*parts, stream.finish(exact_upstream=exact_upstream)]


def apart(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


def test_every_recorded_array_is_matched() -> None:
    rows = list(check_flow.rows(GOLDEN))
    assert [row for row in rows if not row.good] == []
    # Every array with an output in it is there, each call of a stream both ways.
    named = Counter(row.array for row in rows)
    assert named["t2w_stream_growhop.npz:call2.flow_mel"] == 2
    assert {"cfm.npz:x_before_each_step", "estimator.npz:out_stream"} <= named.keys()
    assert len(rows) == 38


@pytest.mark.parametrize("hops", HOPS)
def test_a_stream_equals_the_whole(network: Flow, hops: tuple[int, ...]) -> None:
    voice, tokens = made_voice(network, 37), speech(network, 263)
    whole = network.whole(voice, tokens, chunked=True)
    parts = spoken(FlowStream(network, voice, hops=hops), tokens)
    assert len(parts) >= 3
    assert apart(torch.cat(parts, dim=2), whole) < MEL


@pytest.mark.parametrize("length", [0, 1, 25, 27, 28, 50, 53, 80])
@pytest.mark.parametrize("warm", [False, True])
def test_any_prompt_streams_as_the_whole(network: Flow, length: int, *, warm: bool) -> None:
    voice, tokens = made_voice(network, length, warm=warm), speech(network, 71)
    parts = spoken(FlowStream(network, voice, hops=(25,)), tokens)
    assert apart(torch.cat(parts, dim=2), network.whole(voice, tokens, chunked=True)) < MEL
    assert voice.done == (max(0, length - 3) // 25 * 25 if warm else 0)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 27, 28])
def test_any_length_streams_as_the_whole(network: Flow, count: int) -> None:
    voice, tokens = made_voice(network, 25), speech(network, count)
    parts = spoken(FlowStream(network, voice), tokens)
    assert sum(part.shape[2] for part in parts) == RATIO * count
    if count:
        assert apart(torch.cat(parts, dim=2), network.whole(voice, tokens, chunked=True)) < MEL


def test_no_prompt_and_no_speech_is_no_mel(network: Flow) -> None:
    silent = network.prompt(None, None, torch.ones(1, network.sizes.speaker))
    assert FlowStream(network, silent).finish().shape == (1, 80, 0)
    assert FlowStream(network, silent).finish(exact_upstream=True).shape == (1, 80, 0)


def test_tokens_may_come_one_by_one(network: Flow) -> None:
    voice, tokens = made_voice(network, 37), speech(network, 120)
    stream, parts, at = FlowStream(network, voice), [], []
    for number, token in enumerate(tokens, start=1):
        stream.push([token])
        if stream.ready:
            at.append(number)
            parts.append(stream.step())
    parts.append(stream.finish())
    assert at == [41, 91]  # 13 to the prompt's block + 25, then + 50; each three ahead
    assert apart(torch.cat(parts, dim=2), network.whole(voice, tokens, chunked=True)) < MEL


def test_the_last_call_as_upstream_does_it(network: Flow) -> None:
    voice, tokens = made_voice(network, 37), speech(network, 120)
    *parts, last = spoken(FlowStream(network, voice), tokens, exact_upstream=True)
    told = sum(part.shape[2] for part in parts)
    assert apart(last, network.whole(voice, tokens)[:, :, told:]) < MEL
    chunked = network.whole(voice, tokens, chunked=True)
    assert apart(torch.cat(parts, dim=2), chunked[:, :, :told]) < MEL
    assert apart(last, chunked[:, :, told:]) > 100 * MEL  # the other mask is another mel


def test_streams_of_one_voice_do_not_touch_each_other(network: Flow) -> None:
    voice = made_voice(network, 60)
    texts = [speech(network, 150, seed=seed) for seed in (1, 2)]
    alone = [torch.cat(spoken(FlowStream(network, voice), text), dim=2) for text in texts]
    streams = [FlowStream(network, voice, hops=hops) for hops in ((25,), (50, 25))]
    parts: list[list[Tensor]] = [[], []]
    for stream, text in zip(streams, texts, strict=True):
        stream.push(text)
    while any(stream.ready for stream in streams):
        for stream, mine in zip(streams, parts, strict=True):
            if stream.ready:
                mine.append(stream.step())
    for stream, mine, wanted in zip(streams, parts, alone, strict=True):
        assert apart(torch.cat([*mine, stream.finish()], dim=2), wanted) < MEL
    again = torch.cat(spoken(FlowStream(network, voice), texts[0]), dim=2)
    assert torch.equal(again, alone[0])  # nothing a stream did is left in the voice


def test_a_hop_costs_its_own_rows_however_late(network: Flow) -> None:
    voice, count = made_voice(network, 60), Counter[str]()
    stream = FlowStream(network, voice, hops=(25,), counter=lambda s, n: count.update({s: n}))
    stream.push(speech(network, 400))
    costs = []
    while stream.ready:
        count.clear()
        stream.step()
        costs.append(dict(count))
    frames = 25 * RATIO
    # Conditional and not; the first call also has the prompt's open block of 25.
    hop = {"encoder": 25, "encoder_up": frames, "estimator": STEPS * 2 * frames}
    assert costs[0] == {stage: 2 * rows for stage, rows in hop.items()}
    assert costs[1:] == [hop] * (len(costs) - 1)
    assert len(costs) == 15


def test_work_grows_linearly_with_length(network: Flow) -> None:
    def rows(length: int) -> int:
        count = Counter[str]()
        voice = made_voice(network, 37)
        stream = FlowStream(network, voice, counter=lambda s, n: count.update({s: n}))
        spoken(stream, speech(network, length))
        return count.total()

    short, middle, long = (rows(length) for length in (100, 300, 500))
    assert long - middle == middle - short


def test_the_convolutions_and_projections_see_no_more_rows_than_are_told(
    network: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counter is told, not measured: here the matrices' own multiply-adds are."""
    done = 0
    plain = torch.nn.functional.linear

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        nonlocal done
        done += x.numel() * weight.shape[0]
        return plain(x, weight, bias)

    stream = FlowStream(network, made_voice(network, 60), hops=(25,))
    stream.push(speech(network, 300))
    stream.step()
    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    costs = []
    while stream.ready:
        done = 0
        stream.step()
        costs.append(done)
    assert len(costs) == 10
    assert len(set(costs)) == 1


def test_the_voice_is_paid_for_once(network: Flow) -> None:
    warm, cold = made_voice(network, 60), made_voice(network, 60, warm=False)
    assert (warm.done, cold.done) == (50, 0)
    assert warm.nbytes > 0 == cold.nbytes
    assert FlowStream(network, warm).nbytes == warm.nbytes  # shared until it grows
    tokens = speech(network, 60)
    parts = [torch.cat(spoken(FlowStream(network, v), tokens), dim=2) for v in (warm, cold)]
    assert apart(*parts) < MEL


def test_a_voice_does_not_share_what_it_was_made_of(network: Flow) -> None:
    tokens, mel = torch.zeros((1, 9), dtype=torch.int64), torch.zeros(1, 18, 80)
    voice = network.prompt(tokens, mel, torch.ones(1, network.sizes.speaker))
    tokens += 1
    mel += 1
    assert not voice.tokens.any()
    assert not voice.mel.any()


def test_a_finished_stream_lets_its_caches_go_and_refuses_more(network: Flow) -> None:
    stream = FlowStream(network, made_voice(network, 37))
    spoken(stream, speech(network, 50))
    assert stream.nbytes == 0
    assert not stream.ready
    for call in (stream.step, stream.finish):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("hops", [(), (0,), (25, 0), (20,), (-25, 25)])
def test_hops_that_are_no_blocks_are_refused(network: Flow, hops: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 25"):
        FlowStream(network, made_voice(network, 0), hops=hops)


def test_too_few_tokens_are_refused(network: Flow) -> None:
    stream = FlowStream(network, made_voice(network, 0))
    stream.push(speech(network, 27))
    with pytest.raises(ValueError, match="28 tokens wanted, 27 given"):
        stream.step()


@pytest.mark.parametrize("token", [-1, 729])
def test_a_token_outside_the_vocabulary_is_refused(network: Flow, token: int) -> None:
    stream = FlowStream(network, made_voice(network, 0))
    with pytest.raises(BadRequest, match="no speech token"):
        stream.push([3, token])
    with pytest.raises(BadRequest, match="no speech token"):
        network.prompt(
            torch.tensor([[token]]), torch.zeros(1, 2, 80), torch.ones(1, network.sizes.speaker)
        )


def test_more_than_the_start_noise_is_refused_before_any_work(network: Flow) -> None:
    count = Counter[str]()
    with pytest.raises(TextTooLong):
        network.whole(
            made_voice(network, 0),
            [0] * (NOISE_FRAMES // RATIO + 1),
            counter=lambda s, n: count.update({s: n}),
        )
    assert not count


def test_the_longer_of_prompt_tokens_and_mel_is_cut(network: Flow) -> None:
    tokens, embedding = torch.zeros((1, 9), dtype=torch.int32), torch.ones(1, 192)
    voice = network.prompt(tokens, torch.zeros(1, 15, 80), embedding)
    assert (voice.length, voice.mel.shape[1]) == (7, 14)
    voice = network.prompt(tokens, torch.zeros(1, 25, 80), embedding)
    assert (voice.length, voice.mel.shape[1]) == (9, 18)


def test_bfloat16_streams_close_to_float32(
    tensors: dict[str, Tensor], sizes: FlowSizes, network: Flow
) -> None:
    half = flow.load(tensors, sizes, device=CPU, dtype=torch.bfloat16)
    tokens = speech(network, 90)
    exact = network.whole(made_voice(network, 37), tokens, chunked=True)
    mel = torch.cat(spoken(FlowStream(half, made_voice(half, 37)), tokens), dim=2)
    assert mel.dtype == torch.float32
    # 8 bits of mantissa: 0.7 % was measured; a wrong plan would be off by as much as the mel.
    assert float((mel - exact).square().mean().sqrt()) < 0.02 * float(exact.std())


def test_other_sizes_stream_as_the_whole_too() -> None:
    """Nothing may hang on the golden model's sizes: every width and count is another here."""
    settings = release.read_settings(GOLDEN)
    odd = copy.deepcopy(dict(settings.release))
    odd["flow"] |= {"input_size": 48, "vocab_size": 333}
    encoder = {"input_size": 48, "output_size": 48, "attention_heads": 3, "linear_units": 40}
    odd["flow"]["encoder"] |= encoder | {"num_blocks": 3}
    widths = {"channels": [40], "num_heads": 2, "attention_head_dim": 24}
    odd["flow"]["decoder"]["estimator"] |= widths | {"n_blocks": 1, "num_mid_blocks": 3}
    settings = replace(settings, release=odd)
    random = torch.Generator().manual_seed(1)
    made = {
        name: torch.randn(shape, generator=random) * 0.1
        for name, shape in shapes.flow(settings).items()
    }
    small = flow.load(made, FlowSizes.read(settings), device=CPU, dtype=torch.float32)
    voice, tokens = made_voice(small, 61), speech(small, 140)
    mel = torch.cat(spoken(FlowStream(small, voice), tokens), dim=2)
    assert apart(mel, small.whole(voice, tokens, chunked=True)) < MEL
    assert float(mel.std()) > 0.1


def test_an_odd_checkpoint_is_refused(tensors: dict[str, Tensor], sizes: FlowSizes) -> None:
    name = "decoder.estimator.mid_blocks.0.1.0.attn1.to_q.weight"
    missing = {key: value for key, value in tensors.items() if key != name}
    for odd, words in (
        (missing, f"no tensor {name}"),
        (tensors | {name: tensors[name][:1]}, f"{name} has shape"),
        (tensors | {"extra": tensors[name]}, "unknown tensor extra"),
    ):
        with pytest.raises(ModelLoadFailed, match=f"flow.pt: .*{words}|flow.pt: {words}"):
            flow.load(odd, sizes, device=CPU, dtype=torch.float32)
