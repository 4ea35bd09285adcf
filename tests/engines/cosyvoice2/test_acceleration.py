"""The whole engine as on a card, but for the card: graphs, slots, a lane beside the model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosyd.engines.base import Chunk, Request, Settings
from cosyd.engines.cosyvoice2 import engine as engines
from cosyd.engines.cosyvoice2 import flow_graphs, lm_graphs, load
from cosyd.engines.cosyvoice2.acceleration import Report, accelerate
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.flow import Flow
from cosyd.engines.cosyvoice2.lanes import ThreadLane
from cosyd.engines.cosyvoice2.sampling import RepetitionAware
from cosyd.engines.cosyvoice2.speech_lm import SpeechLm
from cosyd.voices.voicepack import Voicepack
from tests.engines.cosyvoice2 import packs
from tests.engines.cosyvoice2.pieces import CPU
from tests.engines.cosyvoice2.replays import Replays

CLOSE = 1e-3  # a wave in float32, from a mel that is summed in another order
TEXTS = ("Hello.", "Oh.")


@pytest.fixture(autouse=True)
def drawn_as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_waiting(
        sampler: RepetitionAware,
        logp: Tensor,
        decoded: Sequence[int],
        generator: torch.Generator,
    ) -> Tensor:
        return sampler._without_waiting(logp, decoded[-sampler.window :], generator)

    monkeypatch.setattr(RepetitionAware, "__call__", without_waiting)


@pytest.fixture
def pack(tmp_path: Path) -> Voicepack:
    return packs.voice(packs.of_release(tmp_path))


def _loaded(tiny: Path) -> CosyVoice2Engine:
    made = load.load(packs.MODEL, Settings(tiny, "cpu", "fp32"))
    torch.set_num_threads(1)
    return made


def _as_on_a_card(
    made: CosyVoice2Engine, monkeypatch: pytest.MonkeyPatch, capture: Replays
) -> list[Report]:
    """Warm it up as if there were a card."""
    reports: list[Report] = []

    def accelerated(speech: SpeechLm, flow: Flow, device: torch.device) -> Report:
        reports.append(accelerate(speech, flow, device, capture=lambda _: capture))
        return reports[-1]

    monkeypatch.setattr(lm_graphs.Decoder, "buckets", ((1, 512), (16, lm_graphs.ROOM)))
    monkeypatch.setattr(flow_graphs.Solver, "buckets", ((50, 256), (200, 1024)))
    monkeypatch.setattr(engines, "accelerate", accelerated)
    made._overlapped = True
    made._lane = ThreadLane(nullcontext)
    made.warm_up()
    return reports


def _say(
    made: CosyVoice2Engine, pack: Voicepack, texts: Sequence[str]
) -> list[NDArray[np.float32]]:
    """All at once; what each sounds like."""
    streams = [made.open(Request(pack, seed=seed)) for seed in range(len(texts))]
    sounds: dict[int, list[NDArray[np.float32]]] = {id(stream): [] for stream in streams}
    for stream, text in zip(streams, texts, strict=True):
        stream.write(text, final=True)
    going = [*streams]
    while going:
        ready = [stream for stream in going if stream.ready]
        for stream, outcome in zip(ready, made.step(ready), strict=True):
            if outcome is None:
                going.remove(stream)
                continue
            assert isinstance(outcome, Chunk), outcome
            sounds[id(stream)].append(outcome.pcm)
    for stream in streams:
        stream.close()
    return [np.concatenate(sounds[id(stream)]) for stream in streams]


def test_the_engine_says_the_same_with_all_of_it(
    tiny: Path, pack: Voicepack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, fast, capture = _loaded(tiny), _loaded(tiny), Replays()
    with caplog.at_level(logging.INFO):
        (report,) = _as_on_a_card(fast, monkeypatch, capture)
    assert report[:2] == (2, 2)
    assert "captured 2 and 2 graphs in " in caplog.text
    replayed = capture.replayed
    for wanted, got in zip(_say(plain, pack, TEXTS), _say(fast, pack, TEXTS), strict=True):
        assert wanted.shape == got.shape
        assert np.abs(wanted - got).max() < CLOSE
    assert capture.replayed > replayed + 50
    fast._lane.close()


def test_without_memory_for_graphs_it_goes_on_without(
    tiny: Path, pack: Voicepack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fast = _loaded(tiny)
    (report,) = _as_on_a_card(fast, monkeypatch, Replays(most=0))
    assert report[:2] == (0, 0)
    assert caplog.text.count("0 graphs, no more: CUDA out of memory") == 2
    assert fast._model.lm.decoder is None
    assert fast._model.flow.cfm.graphs is None
    assert _say(fast, pack, TEXTS[1:2])[0].size
    fast._lane.close()


def test_without_memory_for_their_places_too(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lacking(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    fast = _loaded(tiny)
    monkeypatch.setattr("cosyd.engines.cosyvoice2.acceleration.Decoder", lacking)
    monkeypatch.setattr("cosyd.engines.cosyvoice2.acceleration.Solver", lacking)
    report = accelerate(fast._model.lm, fast._model.flow, CPU, capture=lambda _: Replays())
    assert report[:2] == (0, 0)
    assert caplog.text.count("no memory for graphs, speech goes on without") == 2
