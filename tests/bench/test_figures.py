"""Percentiles, verdicts, tables, and the block in the page."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Comparison, Figure, Findings, Spread, spread, spread_figures
from bench.report import figure_row, number, replace_block, tables, text_table, width


def test_percentiles_by_nearest_rank() -> None:
    hundred_and_one = [float(value) for value in range(100, -1, -1)]
    assert spread(hundred_and_one) == Spread(101, 0, 50, 95, 99, 100)
    assert spread([3.0]) == Spread(1, 3, 3, 3, 3, 3)
    with pytest.raises(ValueError, match="nothing was measured"):
        spread([])


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_in_order_and_made_of_the_values(values: list[float]) -> None:
    found = spread(values)
    assert list(found[1:]) == sorted(found[1:])
    assert set(found[1:]) <= set(values)


@pytest.mark.parametrize(
    ("value", "limit", "verdict"),
    [(5.0, 5.0, "met"), (5.01, 5.0, "missed"), (0.0, 0.0, "met"), (7.0, None, "")],
)
def test_a_target_is_met_up_to_its_limit(value: float, limit: float | None, verdict: str) -> None:
    figure = Figure("section", "name", value, "ms", limit)
    assert figure.verdict == verdict
    assert Findings([figure]).missed == ([figure] if verdict == "missed" else [])


def test_the_target_is_set_on_one_percentile() -> None:
    figures = spread_figures("s", "ping", [1.0, 2.0, 30.0], target=("p99", 10.0))
    assert [(figure.name, figure.verdict) for figure in figures] == [
        ("ping, p50", ""),
        ("ping, p99", "missed"),
        ("ping, max", ""),
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.123, "ms", "0.12 ms"),
        (12.34, "ms", "12.3 ms"),
        (1234.5, "MB", "1,234 MB"),
        (0.3, "", "0.30"),
        (0, "modules", "0 modules"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_a_missed_target_cannot_be_overlooked() -> None:
    assert "MISSED" in figure_row(Figure("s", "n", 2.0, "ms", 1.0))
    findings = Findings([Figure("s", "n", 2.0, "ms", 1.0)], skipped={"peers": "no network"})
    for markdown in (True, False):
        told = tables(findings, markdown=markdown)
        assert "MISSED" in told and "Not measured: peers: no network" in told


def test_ratios_are_made_against_ours() -> None:
    row = Comparison("first audio", "ms", {"cosyd": 50.0, "other": 100.0, "script": None})
    told = tables(Findings(comparisons=[row]), markdown=True)
    assert "| first audio | 50.0 ms | 100 ms (2×) | – |" in told


def test_columns_are_aligned_though_chinese_is_wide() -> None:
    lines = text_table(["a", "b"], [["你好", "x"], ["abcdef", "y"]]).splitlines()
    assert {width(line) for line in lines} == {9}


def test_findings_go_into_json() -> None:
    findings = Findings([Figure("s", "n", 2.0, "ms", 1.0)], [Comparison("c", "", {"x": None})])
    told = json.loads(json.dumps(findings.as_dict()))
    assert told["figures"][0]["verdict"] == "missed"
    assert told["comparisons"][0]["values"] == {"x": None}


def test_only_the_marked_block_is_replaced() -> None:
    page = "above\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nbelow"
    new = "above\n<!-- speed:begin -->\nnew | table\n<!-- speed:end -->\nbelow"
    assert replace_block(page, "speed", "new | table") == new
    assert replace_block(new, "speed", "new | table") == new
    with pytest.raises(ValueError, match="no block"):
        replace_block(page, "quality", "x")
