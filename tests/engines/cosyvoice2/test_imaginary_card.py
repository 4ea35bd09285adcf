"""The model's parts on a card that is only imagined: torch follows shapes and devices.

It fails where the CPU's tensors meet the card's, or where the host looks at a number: for what a
graph holds a capture would fail there, and for the rest the host would wait for the card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cosyd.engines.cosyvoice2 import cfm, flow, lm, release, wave
from cosyd.engines.cosyvoice2.flow import FlowPrompt, FlowSizes
from cosyd.engines.cosyvoice2.flow_graphs import Solver
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.graphs import Bucket
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.lm_graphs import Decoder
from cosyd.engines.cosyvoice2.lm_sizes import LmSizes

CARD = torch.device("cuda", 0)
TYPES = (torch.float32, torch.bfloat16, torch.float16)


class Serial:
    """For a pool of threads: what is imagined is imagined by one thread only."""

    def __init__(self, _threads: int) -> None:
        pass

    def __enter__(self) -> Serial:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, work: Callable[[object], object], items: Iterable[object]) -> Iterator[object]:
        return map(work, items)


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    mode = FakeTensorMode()
    at, by = cfm.moments(10)
    known = [mode.from_tensor(moment.clone()) for moment in at], by.tolist()
    monkeypatch.setattr(cfm, "moments", lambda _steps: known)
    monkeypatch.setattr(lm, "ThreadPoolExecutor", Serial)
    with torch.inference_mode():
        yield mode


def _imagine(mode: FakeTensorMode, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: mode.from_tensor(tensor) for name, tensor in tensors.items()}


@pytest.mark.parametrize("dtype", TYPES)
def test_a_decode_step_stays_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, dtype: torch.dtype
) -> None:
    tensors, sizes = _imagine(imagined, opened.llm()), LmSizes.read(opened.settings)
    with imagined:
        decoder = Decoder(lm.load(tensors, sizes, device=CARD, dtype=dtype), slots=4, room=128)
        decoder._work(Bucket(2, 64))()
        assert decoder._tokens.device == decoder._logp.device == CARD


@pytest.mark.parametrize("dtype", TYPES)
def test_a_step_of_the_flow_stays_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, dtype: torch.dtype
) -> None:
    tensors, sizes = _imagine(imagined, opened.flow()), FlowSizes.read(opened.settings)
    with imagined:
        solver = Solver(flow.load(tensors, sizes, device=CARD, dtype=dtype).cfm, room=256)
        solver._work(Bucket(100, 256))()
        assert solver._x.device == solver._data.device == CARD
        assert solver._data.dtype == dtype


@pytest.mark.parametrize("dtype", TYPES)
def test_prefills_of_two_stay_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, dtype: torch.dtype
) -> None:
    tensors, sizes = _imagine(imagined, opened.llm()), LmSizes.read(opened.settings)
    with imagined:
        network = lm.load(tensors, sizes, device=CARD, dtype=dtype)
        rows = torch.cat((network.embed_text([1, 2, 3]), network.embed_speech([4, 5])))
        caches = [network.cache(), network.cache()]
        network.forward(rows, caches, [3, 2])
        hidden = network.forward(rows[:2], caches, [1, 1])
        logits = network.logits(hidden)
        assert logits.device == caches[0].rows.device == CARD
        assert logits.shape == (2, sizes.speech_tokens + 3)


@pytest.mark.parametrize("graphs", [False, True])
def test_hops_stay_on_the_card(
    opened: release.Release, imagined: FakeTensorMode, *, graphs: bool
) -> None:
    tensors, sizes = _imagine(imagined, opened.flow()), FlowSizes.read(opened.settings)
    with imagined:
        network = flow.load(tensors, sizes, device=CARD, dtype=torch.bfloat16)
        network.cfm.graphs = Solver(network.cfm, room=256) if graphs else None
        tokens = torch.zeros(30, dtype=torch.int64, device=CARD)
        frames = torch.zeros((1, 60, sizes.estimator.mel), device=CARD)
        voice = FlowPrompt(tokens, frames, network.speaker(torch.ones(1, sizes.speaker)))
        stream = FlowStream(network, voice)
        stream.push([1] * 120)
        mels = [stream.step(), stream.step()]
        assert {mel.device for mel in mels} == {CARD}
        assert [mel.shape[2] for mel in mels] == [90, 100]


def test_the_vocoder_stays_on_the_card(opened: release.Release, imagined: FakeTensorMode) -> None:
    tensors, sizes = _imagine(imagined, opened.hift()), HiftSizes.read(opened.settings)
    with imagined:
        vocoder = wave.load(tensors, sizes, device=CARD, dtype=torch.float32)
        stream = wave.Stream(vocoder, torch.Generator())
        pieces = [
            stream.push(torch.zeros((1, sizes.in_channels, 60), device=CARD), final=final)
            for final in (False, False, True)
        ]
        assert {piece.device for piece in pieces} == {CARD}
        assert sum(piece.shape[1] for piece in pieces) == 180 * sizes.samples_per_frame


def test_it_notices_a_look_at_a_number(imagined: FakeTensorMode) -> None:
    with imagined, pytest.raises(RuntimeError):
        float(torch.ones(1, device=CARD))
