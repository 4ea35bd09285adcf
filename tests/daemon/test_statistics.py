"""Percentiles by nearest rank."""

from __future__ import annotations

import pytest

from cosyd.daemon.statistics import percentiles


def test_none_without_values() -> None:
    assert percentiles([]) == {"count": 0, "p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize(
    ("count", "p50", "p95", "p99"), [(1, 0, 0, 0), (3, 1, 2, 2), (101, 50, 95, 99)]
)
def test_ranks(count: int, p50: int, p95: int, p99: int) -> None:
    values = [float(value) for value in range(count)][::-1]
    assert percentiles(values) == {"count": count, "p50": p50, "p95": p95, "p99": p99}
