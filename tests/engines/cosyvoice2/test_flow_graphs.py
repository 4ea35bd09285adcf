"""The solver on fixed memory against the eager one, and both kinds of caches."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Final

import pytest
import torch
from torch import Tensor

from cosyd.engines.base import Interrupted
from cosyd.engines.cosyvoice2 import flow, release
from cosyd.engines.cosyvoice2.flow import Flow, FlowPrompt, FlowSizes
from cosyd.engines.cosyvoice2.flow_graphs import Solver, Stacked, layout_of
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.graphs import CudaCapture
from tests.engines.cosyvoice2.pieces import CPU
from tests.engines.cosyvoice2.replays import Replays

MEL: Final = 1e-4
"""Tolerance of a mel in float32; the reference's own rounding is 4e-6."""
RATIO: Final = 2
STEPS: Final = 2
BUCKETS: Final = ((50, 256), (100, 256), (200, 768))


def _load(opened: release.Release, device: torch.device = CPU) -> Flow:
    sizes = replace(FlowSizes.read(opened.settings), steps=STEPS)
    return flow.load(opened.flow(), sizes, device=device, dtype=torch.float32)


@pytest.fixture(scope="module")
def plain(opened: release.Release) -> Flow:
    return _load(opened)


@pytest.fixture(scope="module")
def replays() -> Replays:
    return Replays()


@pytest.fixture(scope="module")
def graphed(opened: release.Release, replays: Replays) -> Flow:
    network = _load(opened)
    solver = Solver(network.cfm, room=768)
    solver.record(replays, seconds=60, buckets=BUCKETS)
    network.cfm.graphs = solver
    return network


@pytest.fixture(scope="module")
def eager(opened: release.Release) -> Flow:
    """The graphs' caches without graphs."""
    network = _load(opened)
    network.cfm.graphs = Solver(network.cfm, room=50)
    return network


def _voice(network: Flow, length: int, *, warm: bool = True) -> FlowPrompt:
    random = torch.Generator().manual_seed(3)
    tokens = torch.randint(network.sizes.vocabulary, (1, length), generator=random)
    mel = torch.randn(1, RATIO * length, network.sizes.estimator.mel, generator=random)
    embedding = torch.randn(1, network.sizes.speaker, generator=random)
    return network.prompt(tokens, mel, embedding, warm=warm)


def _tokens(network: Flow, length: int) -> list[int]:
    random = torch.Generator().manual_seed(5)
    ids: list[int] = torch.randint(network.sizes.vocabulary, (length,), generator=random).tolist()
    return ids


def _spoken(network: Flow, prompt: int, length: int, **other: object) -> Tensor:
    stream = FlowStream(network, _voice(network, prompt), **other)  # type: ignore[arg-type]  # as it
    stream.push(_tokens(network, length))
    parts = []
    while stream.ready:
        parts.append(stream.step())
    return torch.cat([*parts, stream.finish()], dim=2)


def _apart(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


@pytest.mark.parametrize("prompt", [0, 27, 37, 78])
@pytest.mark.parametrize("length", [1, 28, 71, 263])
def test_graphs_make_the_eager_mel(
    plain: Flow, graphed: Flow, replays: Replays, prompt: int, length: int
) -> None:
    wanted, before = _spoken(plain, prompt, length), replays.replayed
    assert _apart(_spoken(graphed, prompt, length), wanted) < MEL
    assert replays.replayed >= before + STEPS


@pytest.mark.parametrize("hops", [(25,), (0, 25, 50), (150,)])
def test_whatever_the_hops(plain: Flow, graphed: Flow, hops: tuple[int, ...]) -> None:
    assert _apart(_spoken(graphed, 37, 190, hops=hops), _spoken(plain, 37, 190)) < MEL


def test_what_fits_no_bucket_is_computed_eagerly_and_goes_on(
    plain: Flow, graphed: Flow, replays: Replays
) -> None:
    """Hops of 250 frames, then small ones; and beyond the room."""
    before = replays.replayed
    far = _spoken(graphed, 37, 420, hops=(125, 25, 100))
    assert _apart(far, _spoken(plain, 37, 420)) < MEL
    hops = 1 + -(-(37 + 420 - 175) // 100) + 1
    assert 0 < replays.replayed - before < hops * STEPS


@pytest.mark.parametrize("prompt", [0, 37])
def test_hidden_rows_are_as_good_as_keys_and_values(plain: Flow, eager: Flow, prompt: int) -> None:
    assert _apart(_spoken(eager, prompt, 140), _spoken(plain, prompt, 140)) < MEL


def test_hidden_rows_are_a_quarter(plain: Flow, eager: Flow) -> None:
    sizes = plain.sizes.estimator
    keys_and_values = 2 * sizes.heads * sizes.head_width
    small, large = (
        sum(cache.nbytes for cache in state.steps)
        for state in (_voice(eager, 28).state, _voice(plain, 28).state)
        if state is not None
    )
    assert small < large * (sizes.channels / keys_and_values + 0.2)  # and the tails


def test_utterances_do_not_disturb_each_other(plain: Flow, graphed: Flow) -> None:
    voice = _voice(graphed, 37)
    streams = [FlowStream(graphed, voice) for _ in range(2)]
    for stream, length in zip(streams, (120, 90), strict=True):
        stream.push(_tokens(graphed, length))
    parts: list[list[Tensor]] = [[], []]
    while any(stream.ready for stream in streams):
        for stream, made in zip(streams, parts, strict=True):
            if stream.ready:
                made.append(stream.step())
    for stream, made, length in zip(streams, parts, (120, 90), strict=True):
        assert _apart(torch.cat([*made, stream.finish()], 2), _spoken(plain, 37, length)) < MEL


def test_a_fork_does_not_write_into_its_voice(graphed: Flow) -> None:
    voice = _voice(graphed, 37)
    assert voice.state is not None
    caches = [cache for cache in voice.state.steps if isinstance(cache, Stacked)]
    assert len(caches) == STEPS
    before = [(cache.data.clone(), cache.flat.clone()) for cache in caches]
    stream = FlowStream(graphed, voice)
    stream.push(_tokens(graphed, 60))
    stream.step()
    for cache, (data, flat) in zip(caches, before, strict=True):
        assert torch.equal(cache.data, data)
        assert torch.equal(cache.flat, flat)


def test_a_broken_utterance_breaks_no_other(plain: Flow, graphed: Flow) -> None:
    voice = _voice(graphed, 37)
    assert voice.state is not None
    stream = FlowStream(graphed, voice)
    for cache in voice.state.steps:
        assert isinstance(cache, Stacked)
        with torch.inference_mode():
            cache.data.fill_(math.nan)
    stream.push(_tokens(graphed, 60))
    assert not stream.step().isfinite().all()
    assert _apart(_spoken(graphed, 37, 60), _spoken(plain, 37, 60)) < MEL


def test_it_counts_what_it_computes(plain: Flow, graphed: Flow) -> None:
    counts: list[Counter[str]] = []
    for network in (plain, graphed):
        counter: Counter[str] = Counter()

        def count(stage: str, rows: int, counter: Counter[str] = counter) -> None:
            counter[stage] += rows

        _spoken(network, 37, 90, counter=count)
        counts.append(counter)
    assert counts[0] == counts[1]


def test_it_is_interrupted_between_steps(graphed: Flow, replays: Replays) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:  # before the encoder, before the first step, before the second
            raise Interrupted

    stream = FlowStream(graphed, _voice(graphed, 37), check=check)
    stream.push(_tokens(graphed, 60))
    before = replays.replayed
    with pytest.raises(Interrupted):
        stream.step()
    assert replays.replayed == before + 1


def test_the_layout_knows_every_slot(plain: Flow) -> None:
    sizes, layout = plain.sizes.estimator, layout_of(plain.cfm)
    assert len(layout.slots) == sizes.blocks * (sizes.mid_stages + 2)
    assert len(layout.tails) == 2 * (sizes.mid_stages + 2) + 3
    assert layout.width == 2 * sizes.channels  # with guidance and without


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_card_graphs_make_the_eager_mel(opened: release.Release) -> None:
    device = torch.device("cuda", 0)
    network, graphed = _load(opened, device), _load(opened, device)
    solver = Solver(graphed.cfm, room=768)
    solver.record(CudaCapture(device), seconds=60, buckets=BUCKETS)
    assert solver.graphs == len(BUCKETS)
    graphed.cfm.graphs = solver
    for length in (28, 71, 263):
        assert _apart(_spoken(graphed, 37, length), _spoken(network, 37, length)) < MEL
