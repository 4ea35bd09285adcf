"""The whole engine with a tiny random release: stops, failures, and the lane beside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch

from cosyd.engines.base import Interrupted, Request
from cosyd.engines.cosyvoice2 import device, flow_stream
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.estimator import Estimator
from cosyd.engines.cosyvoice2.flow import Flow
from cosyd.engines.cosyvoice2.lanes import ThreadLane
from cosyd.engines.cosyvoice2.lm import Lm
from cosyd.engines.cosyvoice2.stream import Stream
from cosyd.errors import Internal, OutOfMemory
from cosyd.voices.voicepack import Voicepack
from tests.engines.cosyvoice2.speaking import OTHER, Outcomes, chunks, opened, run, say, sound

GUARD_S = 30.0


class _Nth:
    """Has `instead` do one call of something of the model, the `call`-th; it is given that call."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        part: type,
        name: str,
        call: int,
        instead: Callable[[Callable[[], torch.Tensor]], torch.Tensor],
    ) -> None:
        self.calls = 0
        work = getattr(part, name)

        def counted(*args: object, **kwargs: object) -> torch.Tensor:
            self.calls += 1
            go = partial(work, *args, **kwargs)
            return instead(go) if self.calls == call else go()

        monkeypatch.setattr(part, name, counted)


# being stopped -----------------------------------------------------------------------------


class _During(_Nth):
    """Interrupts a stream from another thread while something of the model runs."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, part: type, name: str, stream: Stream, call: int
    ) -> None:
        self.answers: list[bool] = []

        def interrupted(go: Callable[[], torch.Tensor]) -> torch.Tensor:
            thread = threading.Thread(target=lambda: self.answers.append(stream.interrupt()))
            thread.start()
            thread.join(GUARD_S)
            return go()

        super().__init__(monkeypatch, part, name, call, interrupted)


@pytest.mark.parametrize(("part", "name", "call"), [(Lm, "forward", 5), (Flow, "_mean", 2)])
def test_an_interruption_costs_the_others_nothing(
    engine: CosyVoice2Engine,
    own: Voicepack,
    monkeypatch: pytest.MonkeyPatch,
    part: type,
    name: str,
    call: int,
) -> None:
    alone = say(engine, Request(own, seed=1), OTHER)
    stopped = opened(engine, Request(own, seed=2))
    other = opened(engine, Request(own, seed=1), OTHER)
    during = _During(monkeypatch, part, name, stopped, call)
    before: Outcomes = []
    with pytest.raises(Interrupted):
        while True:
            before.append(engine.step([stopped, other])[1])
    assert during.answers == [True]
    stopped.close()
    rest = run(engine, other)[0]
    assert np.array_equal(alone, sound(before + rest)) and rest[-1] is None


def test_a_hop_ends_between_two_calls_of_the_estimator(
    engine: CosyVoice2Engine, own: Voicepack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = opened(engine, Request(own, seed=2))
    during = _During(monkeypatch, Estimator, "__call__", stream, 3)
    with pytest.raises(Interrupted):
        while True:
            engine.step([stream])
    assert during.calls == 3


def test_whoever_is_not_computed_stops_at_once(
    engine: CosyVoice2Engine, own: Voicepack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hop of the first is under way: the second hears that nothing runs for it."""
    first, second = (
        opened(engine, Request(own, seed=1)),
        opened(engine, Request(own, seed=2), OTHER),
    )
    during = _During(monkeypatch, Flow, "_mean", second, 2)
    made: Outcomes = []
    with pytest.raises(Interrupted):
        while True:
            made.append(engine.step([first, second])[0])
    assert during.answers == [False]
    second.close()
    made += run(engine, first)[0]
    assert made[-1] is None and np.array_equal(sound(made), say(engine, Request(own, seed=1)))


def test_a_stream_interrupted_before_its_first_step(
    engine: CosyVoice2Engine, own: Voicepack
) -> None:
    stream = opened(engine, Request(own))
    assert stream.interrupt() is False
    with pytest.raises(Interrupted):
        engine.step([stream])
    stream.close()


# what breaks -------------------------------------------------------------------------------


def _lacking(_: Callable[[], torch.Tensor]) -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(("part", "name", "call"), [(Lm, "forward", 4), (Flow, "_mean", 2)])
def test_out_of_memory_ends_one_and_the_next_one_works(
    engine: CosyVoice2Engine,
    own: Voicepack,
    monkeypatch: pytest.MonkeyPatch,
    part: type,
    name: str,
    call: int,
) -> None:
    streams = [opened(engine, Request(own, seed=seed)) for seed in (1, 2)]
    _Nth(monkeypatch, part, name, call, _lacking)
    outcomes = run(engine, *streams)
    ends = [made[-1] for made in outcomes]
    assert sum(isinstance(end, OutOfMemory) for end in ends) == 1 and None in ends
    assert say(engine, Request(own, seed=1)).size
    assert not engine._working


def _nan_in_first_row(go: Callable[[], torch.Tensor]) -> torch.Tensor:
    made = go().clone()
    made[0] = torch.nan
    return made


@pytest.mark.parametrize(("part", "name", "call"), [(Lm, "logits", 9), (Flow, "_mean", 2)])
def test_a_nan_ends_one_with_nothing_of_it_heard(
    engine: CosyVoice2Engine,
    own: Voicepack,
    monkeypatch: pytest.MonkeyPatch,
    part: type,
    name: str,
    call: int,
) -> None:
    alone = say(engine, Request(own, seed=2))
    streams = [opened(engine, Request(own, seed=seed)) for seed in (1, 2)]
    _Nth(monkeypatch, part, name, call, _nan_in_first_row)
    bad, good = run(engine, *streams)
    assert isinstance(bad[-1], Internal)
    assert all(np.isfinite(chunk.pcm).all() for chunk in chunks(bad))
    assert good[-1] is None and np.array_equal(sound(good), alone)


# the lane beside -----------------------------------------------------------------------------


@pytest.fixture
def overlapped(engine: CosyVoice2Engine) -> Iterator[CosyVoice2Engine]:
    """The same model with its flow in a thread, as on CUDA."""
    cuda = device.Device(torch.device("cuda", 0), torch.float32, torch.float32)
    lane = ThreadLane(nullcontext)
    yield CosyVoice2Engine(engine._model, engine._voices, cuda, lane)
    lane.close()


def test_beside_the_language_model_the_sound_is_the_same(
    engine: CosyVoice2Engine, overlapped: CosyVoice2Engine, own: Voicepack
) -> None:
    alone = [say(engine, Request(own, seed=1)), say(engine, Request(own, seed=2), OTHER)]
    streams = [
        opened(overlapped, Request(own, seed=1)),
        opened(overlapped, Request(own, seed=2), OTHER),
    ]
    made = run(overlapped, *streams)
    assert [outcomes[-1] for outcomes in made] == [None, None]
    for one, outcomes in zip(alone, made, strict=True):
        assert np.array_equal(one, sound(outcomes))


def test_one_closed_while_its_hop_runs(
    overlapped: CosyVoice2Engine, own: Voicepack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    began, may_end = threading.Event(), threading.Event()
    step = flow_stream.FlowStream._advance

    def slow(stream: flow_stream.FlowStream, end: int, tokens: torch.Tensor) -> torch.Tensor:
        began.set()
        assert may_end.wait(GUARD_S)
        return step(stream, end, tokens)

    monkeypatch.setattr(flow_stream.FlowStream, "_advance", slow)
    stopped = opened(overlapped, Request(own, seed=1))
    while not began.is_set():
        overlapped.step([stopped])
    assert stopped.interrupt() is True
    stopped.close()
    may_end.set()
    assert say(overlapped, Request(own, seed=2)).size
    assert not overlapped._working
