"""A daemon's `status` as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Status = Mapping[str, Any]
Sample = tuple[str, Mapping[str, str], float]
"""What comes after the metric's name, labels, value."""

MODEL_STATES: Final = ("loading", "ready", "speaking", "unloading")


def render(status: Status) -> str:
    """All metrics, each with its HELP and TYPE. Fields that an older daemon lacks are left out."""
    return "".join(
        line
        for name, kind, text, samples in _families(status)
        if samples
        for line in _lines(f"cosyd_{name}", kind, text, samples)
    )


def up(running: bool) -> str:
    """Whether a daemon answers, for who asks from outside it."""
    samples = _one(int(running))
    return "".join(_lines("cosyd_up", "gauge", "Whether a daemon answers.", samples))


def _families(status: Status) -> Iterator[tuple[str, str, str, list[Sample]]]:
    """Name without prefix, type, help, samples."""
    metrics = status.get("metrics") or {}
    yield "build_info", "gauge", "The running daemon.", [("", {"version": status["version"]}, 1)]
    yield "uptime_seconds", "gauge", "Time since the daemon started.", _one(status["uptime_s"])
    yield "connections", "gauge", "Open connections.", _one(status["connections"])
    yield (
        "daemon_resident_bytes",
        "gauge",
        "Memory of the daemon itself.",
        _one(status["rss_bytes"]),
    )
    yield from _utterances(status["utterances"], metrics)
    yield (
        *("errors_total", "counter", "Messages `failed` and `error` sent, by code."),
        [("", {"code": code}, count) for code, count in sorted(status["errors"].items())],
    )
    yield from _histograms(metrics)
    yield from _models(status["models"])
    yield from _loads(metrics.get("models", {}))


def _utterances(counts: Status, metrics: Status) -> Iterator[tuple[str, str, str, list[Sample]]]:
    yield (
        *("utterances", "gauge", "Utterances that have not ended, by state."),
        [("", {"state": state}, counts[state]) for state in ("active", "queued")],
    )
    yield "utterances_said_total", "counter", "Utterances asked for.", _one(counts["total"])
    ended: list[Sample] = [
        ("", {"outcome": kind, "code": ""}, counts[kind]) for kind in ("finished", "stopped")
    ]
    ended += [
        ("", {"outcome": "failed", "code": code}, count)
        for code, count in sorted(metrics.get("failures", {}).items())
    ]
    yield "utterances_ended_total", "counter", "Ended ones by outcome; failed ones by code.", ended
    yield (
        *("utterances_begun_total", "counter", "Begun ones: had the model to be loaded for it?"),
        [("", {"start": start}, counts[start]) for start in ("cold", "warm")],
    )


def _histograms(metrics: Status) -> Iterator[tuple[str, str, str, list[Sample]]]:
    yield (
        *("ttfa_seconds", "histogram", "Time from the request to the first audio."),
        [
            sample
            for start in ("cold", "warm")
            for sample in _histogram(metrics.get(f"ttfa_{start}_s"), {"start": start})
        ],
    )
    yield (
        *("real_time_factor", "histogram", "Computing divided by the length of the speech."),
        _histogram(metrics.get("rtf"), {}),
    )
    yield (
        *("queue_wait_seconds", "histogram", "Time an utterance waited for its turn."),
        _histogram(metrics.get("queue_s"), {}),
    )


def _models(models: Sequence[Status]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    for name, key, text in (
        ("model_resident_bytes", "rss_bytes", "Memory of the model's process."),
        ("model_vram_bytes", "vram_bytes", "Memory of the model's process on the GPU."),
        ("model_users", "users", "Utterances that wait for the model or speak with it."),
        ("model_crashes_in_a_row", "crashes", "Workers lost since an utterance was finished."),
        ("model_expires_in_seconds", "expires_in_s", "Time until the model is unloaded."),
    ):
        known = [model for model in models if model.get(key) is not None]
        yield name, "gauge", text, [("", {"model": m["model"]}, m[key]) for m in known]
    yield (
        *("model_state", "gauge", "1 for the state a model is in; models not resident are absent."),
        [
            ("", {"model": model["model"], "state": state}, int(model["state"] == state))
            for model in models
            for state in MODEL_STATES
        ],
    )


def _loads(models: Mapping[str, Status]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    named = sorted(models.items())
    yield (
        *("model_loads_total", "counter", "Loads; cold ones had an utterance waiting."),
        [
            ("", {"model": name, "start": start}, counts[f"loads_{start}"])
            for name, counts in named
            for start in ("cold", "ahead")
        ],
    )
    for metric, key, text in (
        ("model_load_seconds_total", "load_s", "Time spent loading."),
        ("model_restarts_total", "restarts", "Workers that were lost."),
    ):
        yield metric, "counter", text, [("", {"model": n}, counts[key]) for n, counts in named]


def _one(value: float) -> list[Sample]:
    return [("", {}, value)]


def _histogram(histogram: Status | None, labels: Mapping[str, str]) -> list[Sample]:
    """Buckets add up here: each counts all values up to its bound."""
    if histogram is None:
        return []
    bounds = [*(_number(bound) for bound in histogram["bounds"]), "+Inf"]
    totals = list(accumulate(histogram["counts"]))
    buckets: list[Sample] = [
        ("_bucket", {**labels, "le": bound}, total)
        for bound, total in zip(bounds, totals, strict=True)
    ]
    return [*buckets, ("_sum", labels, histogram["sum"]), ("_count", labels, totals[-1])]


def _lines(name: str, kind: str, text: str, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n"
    yield f"# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{f'{{{inside}}}' if inside else ''} {_number(value)}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
