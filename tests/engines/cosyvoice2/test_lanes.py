"""Work in a lane: its order, its errors, its bound; on a card, its stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from cosyd.engines.cosyvoice2.lanes import DirectLane, Lane, ThreadLane, lane

SOON_S = 10.0
"""Far more than anything here takes."""


@pytest.fixture(params=["direct", "thread"])
def a_lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    made: Lane = DirectLane() if request.param == "direct" else ThreadLane(nullcontext)
    yield made
    made.close()


def test_results_are_those_of_the_work(a_lane: Lane) -> None:
    pending = [a_lane.run(lambda n=n: n * n) for n in range(5)]  # type: ignore[misc]  # a default
    assert [work.result() for work in pending] == [0, 1, 4, 9, 16]
    assert all(work.done() for work in pending)
    assert pending[2].result() == 4


def test_an_error_comes_out_of_the_result(a_lane: Lane) -> None:
    def fail() -> None:
        raise KeyError("no")

    pending = a_lane.run(fail)
    with pytest.raises(KeyError, match="no"):
        pending.result()
    assert a_lane.run(lambda: 1).result() == 1


def test_a_direct_lane_computes_when_asked() -> None:
    done: list[int] = []
    pending = DirectLane().run(lambda: done.append(1))
    assert pending.done()
    assert done == []
    pending.result()
    pending.result()
    assert done == [1]


def test_a_thread_works_beside_its_caller_and_in_order() -> None:
    go, said = threading.Event(), list[str]()
    made = ThreadLane(nullcontext)

    def wait() -> None:
        assert go.wait(SOON_S)
        said.append("first")

    first, second = made.run(wait), made.run(lambda: said.append("second"))
    assert not first.done()
    assert not second.done()
    go.set()
    second.result()
    assert said == ["first", "second"]
    assert first.done()
    made.close()


def test_what_waits_is_bounded() -> None:
    go = threading.Event()
    made = ThreadLane(nullcontext, most=2)
    pending = [made.run(lambda: go.wait(SOON_S)) for _ in range(2)]
    with pytest.raises(ValueError, match="2 pieces"):
        made.run(lambda: True)
    go.set()
    assert [work.result() for work in pending] == [True, True]
    assert made.run(lambda: True).result()
    made.close()


def test_around_is_made_by_the_caller_and_entered_by_the_thread() -> None:
    seen: list[tuple[str, int]] = []

    @contextmanager
    def entered() -> Iterator[None]:
        seen.append(("in", threading.get_ident()))
        yield
        seen.append(("out", threading.get_ident()))

    def around() -> object:
        seen.append(("made", threading.get_ident()))
        return entered()

    made = ThreadLane(around)  # type: ignore[arg-type]  # it returns one, told as an object
    inside = made.run(threading.get_ident).result()
    made.close()
    assert seen == [("made", threading.get_ident()), ("in", inside), ("out", inside)]


def test_closing_waits_for_what_was_begun() -> None:
    done = threading.Event()
    made = ThreadLane(nullcontext)
    made.run(done.set)
    made.close()
    assert done.is_set()


def test_the_processor_has_a_direct_lane() -> None:
    assert isinstance(lane(torch.device("cpu")), DirectLane)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_card_work_sees_what_was_begun_before_and_its_result_is_there() -> None:
    device = torch.device("cuda", 0)
    made = lane(device)
    numbers = torch.ones(1 << 22, device=device)
    for _ in range(20):
        numbers = numbers + 1
    streams = made.run(torch.cuda.current_stream).result()
    total = made.run(lambda: numbers.sum()).result()
    assert streams != torch.cuda.current_stream()
    assert float(total) == 21 * (1 << 22)
    made.close()
