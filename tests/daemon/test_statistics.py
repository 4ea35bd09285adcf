"""Percentiles by nearest rank, histograms, and what is counted when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.statistics import MAX_MODELS, OTHERS, Histogram, Statistics, percentiles
from cosyd.daemon.utterance import Utterance
from cosyd.errors import BY_CODE, Busy
from cosyd.wire.messages import check_client
from tests.daemon.fakes import VOICE, FakeClock, FakeOwner

VALUES = st.lists(st.floats(0, 1e6, allow_nan=False), max_size=50)
BOUNDS = st.lists(st.floats(0, 1e3), min_size=1, max_size=10, unique=True).map(sorted)


def test_none_without_values() -> None:
    assert percentiles([]) == {"count": 0, "p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize(
    ("count", "p50", "p95", "p99"), [(1, 0, 0, 0), (3, 1, 2, 2), (101, 50, 95, 99)]
)
def test_ranks(count: int, p50: int, p95: int, p99: int) -> None:
    values = [float(value) for value in range(count)][::-1]
    assert percentiles(values) == {"count": count, "p50": p50, "p95": p95, "p99": p99}


@given(BOUNDS, VALUES)
def test_every_value_is_in_exactly_one_bucket(bounds: list[float], values: list[float]) -> None:
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    told = histogram.snapshot()
    assert told["bounds"] == bounds
    edges = [float("-inf"), *bounds, float("inf")]
    expected = [sum(low < v <= high for v in values) for low, high in pairwise(edges)]
    assert told["counts"] == expected
    assert told["sum"] == pytest.approx(sum(values), abs=1e-5)


class _Source:
    def write(self, utterance: Utterance, text: object) -> None: ...
    def grant(self, utterance: Utterance, samples: int) -> None: ...


def _utterance(clock: FakeClock, number: int = 1) -> Utterance:
    request = check_client({"type": "say", "id": number, "text": "secret words"})
    return Utterance(request, VOICE, FakeOwner(), clock.now)


def _metrics(statistics: Statistics) -> dict[str, Any]:
    metrics: dict[str, Any] = statistics.snapshot(0, 0)["metrics"]
    return metrics


def _count(histogram: dict[str, Any]) -> int:
    return sum(histogram["counts"])


@pytest.mark.parametrize("cold", [True, False])
def test_what_has_spoken_counts_as_cold_or_warm(cold: bool) -> None:
    clock, statistics = FakeClock(), Statistics()
    utterance = _utterance(clock)
    utterance.begin(_Source(), cold=cold, queue_ms=250.0, load_ms=0.0)
    utterance.on_chunk({"pcm": bytes(1920), "text_end": 3})
    clock.pass_s(0.4)
    utterance.pull()
    utterance.stop()
    statistics.ended(utterance)
    metrics = _metrics(statistics)
    own, other = ("ttfa_cold_s", "ttfa_warm_s")[:: 1 if cold else -1]
    assert _count(metrics[own]) == 1 and _count(metrics[other]) == 0
    assert metrics[own]["sum"] == pytest.approx(0.4)
    assert metrics["queue_s"]["sum"] == pytest.approx(0.25)
    assert _count(metrics["rtf"]) == 0  # only what was finished has one
    assert statistics.snapshot(0, 0)["utterances"]["stopped"] == 1


def test_what_never_began_has_no_times() -> None:
    clock, statistics = FakeClock(), Statistics()
    utterance = _utterance(clock)
    utterance.fail(Busy("try later"))
    statistics.ended(utterance)
    statistics.refused("voice_not_found")
    metrics = _metrics(statistics)
    assert metrics["failures"] == {"busy": 1, "voice_not_found": 1}
    assert _count(metrics["queue_s"]) == 0
    assert statistics.snapshot(0, 0)["utterances"]["failed"] == 2


def test_loads_and_restarts_of_each_model() -> None:
    statistics = Statistics()
    statistics.loaded("m", 1500.0, cold=True)
    statistics.loaded("m", 500.0, cold=False)
    statistics.restarted("m")
    assert _metrics(statistics)["models"] == {
        "m": {"loads_cold": 1, "loads_ahead": 1, "load_s": 2.0, "restarts": 1}
    }


def test_labels_have_a_bound() -> None:
    statistics = Statistics()
    for number in range(MAX_MODELS + 10):
        statistics.loaded(f"m{number}", 1.0, cold=True)
    models = _metrics(statistics)["models"]
    assert len(models) == MAX_MODELS + 1
    assert models[OTHERS]["loads_cold"] == 10


def test_codes_are_those_of_the_contract() -> None:
    clock, statistics = FakeClock(), Statistics()
    for number, (code, kind) in enumerate(sorted(BY_CODE.items())):
        utterance = _utterance(clock, number)
        utterance.fail(kind("it went wrong"))
        statistics.ended(utterance)
        assert _metrics(statistics)["failures"][code] == 1
