"""The text as a strict reader of exposition format 0.0.4 sees it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.statistics import Statistics
from cosyd.prometheus import render, up

MODEL: dict[str, Any] = {
    "model": "m",
    "state": "ready",
    "users": 2,
    "rss_bytes": 812_000_000,
    "vram_bytes": None,
    "expires_in_s": 12.5,
    "restarts": 0,
    "crashes": 0,
}
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = rf'({NAME})="((?:[^"\\\n]|\\[\\n"])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL},?)*)\}})? (\S+)")

Labels = tuple[tuple[str, str], ...]


def status(**more: Any) -> dict[str, Any]:
    fields = {
        "version": "1.0",
        "uptime_s": 3.5,
        "connections": 1,
        "rss_bytes": 30_000_000,
        "models": [MODEL],
        **Statistics().snapshot(1, 2),
    }
    return {**fields, **more}


def parse(text: str) -> dict[str, tuple[str, dict[tuple[str, Labels], float]]]:
    """Family → type, and (name, labels) → value; everything malformed is an error."""
    assert text.endswith("\n")
    families: dict[str, tuple[str, dict[tuple[str, Labels], float]]] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in families, "a family appears once"
            assert len(line.split(" ", 3)[3]) > 5
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram")
            families[name] = (kind, {})
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert found[1] in [current + suffix for suffix in suffixes]
            labels = tuple(re.findall(LABEL, found[2] or ""))
            assert (found[1], labels) not in samples, "a sample appears once"
            samples[found[1], labels] = float(found[5])
    return families


def value(text: str, name: str, **labels: str) -> float:
    (found,) = [
        number
        for _, samples in parse(text).values()
        for (each, its), number in samples.items()
        if each == name and dict(its) == labels
    ]
    return found


def test_everything_is_well_formed() -> None:
    families = parse(up(True) + render(status()))
    for name, (kind, samples) in families.items():
        assert samples, f"{name} has no sample"
        assert (kind == "counter") == name.endswith("_total")
        assert not re.search(r"_(ms|mb|kb|percent)(_|$)", name), "base units only"


def test_values_are_those_of_the_status() -> None:
    counts = Statistics()
    counts.said = 7
    counts.refused("busy")
    counts.loaded("m", 1500.0, cold=True)
    counts.restarted("m")
    counts.errors["unknown_type"] += 3
    text = render(status(**counts.snapshot(1, 2)))
    assert value(text, "cosyd_build_info", version="1.0") == 1
    assert value(text, "cosyd_utterances", state="queued") == 2
    assert value(text, "cosyd_utterances_said_total") == 7
    assert value(text, "cosyd_utterances_ended_total", outcome="failed", code="busy") == 1
    assert value(text, "cosyd_errors_total", code="unknown_type") == 3
    assert value(text, "cosyd_model_loads_total", model="m", start="cold") == 1
    assert value(text, "cosyd_model_load_seconds_total", model="m") == 1.5
    assert value(text, "cosyd_model_restarts_total", model="m") == 1
    assert value(text, "cosyd_model_resident_bytes", model="m") == 812_000_000
    assert value(text, "cosyd_model_state", model="m", state="ready") == 1
    assert value(text, "cosyd_model_state", model="m", state="loading") == 0


def test_what_is_not_known_is_left_out() -> None:
    text = render(status())
    assert "cosyd_model_vram_bytes" not in text
    loading = MODEL | {"rss_bytes": None, "state": "loading"}
    assert "cosyd_model_resident_bytes" not in render(status(models=[loading]))


def test_an_older_daemon_has_no_histograms() -> None:
    families = parse(render(status(metrics=None)))
    assert "cosyd_ttfa_seconds" not in families
    assert "cosyd_utterances" in families


@given(st.lists(st.floats(0, 100), max_size=30))
def test_buckets_add_up(values: list[float]) -> None:
    counts = Statistics()
    histograms = counts.snapshot(0, 0)["metrics"]
    bounds = histograms["queue_s"]["bounds"]
    own = [0] * (len(bounds) + 1)
    for each in values:
        own[next((n for n, bound in enumerate(bounds) if each <= bound), len(bounds))] += 1
    histograms["queue_s"] |= {"counts": own, "sum": sum(values)}
    _, samples = parse(render(status(metrics=histograms)))["cosyd_queue_wait_seconds"]
    buckets = {dict(labels)["le"]: n for (name, labels), n in samples.items() if "_bucket" in name}
    assert list(buckets)[-1] == "+Inf"
    assert all(low <= high for low, high in pairwise(buckets.values()))
    assert buckets["+Inf"] == len(values) == samples["cosyd_queue_wait_seconds_count", ()]
    assert samples["cosyd_queue_wait_seconds_sum", ()] == pytest.approx(sum(values))
    assert buckets["1"] == sum(each <= 1.0 for each in values)


@given(st.text(max_size=20))
def test_any_name_of_a_model_is_escaped(name: str) -> None:
    named = MODEL | {"model": name.replace("\r", "").replace("\x85", "")}
    lines = render(status(models=[named])).split("\n")
    for line in lines:
        assert not line or line.startswith("#") or re.fullmatch(SAMPLE, line), line
