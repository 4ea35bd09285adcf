"""From nothing to the first sound: no daemon, no model; only the disk's cache may be warm."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from bench.effort import Effort
from bench.figures import Figure, Findings, spread
from bench.home import home
from bench.pipe import first_byte_ms
from bench.texts import SHORT
from bench.wire import Link

VOICE: Final = "af_heart"
TEXT: Final = SHORT[0]
LIMITS: Final = {"daemon: connect to hello": 150.0}
"""Targets."""


def measure(effort: Effort) -> Findings:
    """Medians of several cold starts, split as far as daemon and worker tell."""
    times = effort.times(5, 1)
    runs = [_from_library() for _ in range(times)]
    figures = [_figure(name, [run[name] for run in runs]) for name in runs[0]]
    figures.append(
        _figure("cosy say -o -, first audio byte", [_from_shell() for _ in range(times)])
    )
    return Findings(figures=figures)


def _figure(name: str, values: list[float]) -> Figure:
    found, limit = spread(values), LIMITS.get(name)
    note = f"{len(values)} times, {found.min:.0f} to {found.max:.0f}"
    return Figure("cold", f"{name}, p50", found.p50, "ms", limit, note=note)


def _from_shell() -> float:
    with home():
        return first_byte_ms(VOICE, TEXT)


def _from_library() -> dict[str, float]:
    """What each part took, in ms."""
    with home() as found:
        begin = perf_counter()
        with found.connect() as client:
            _ = client.hello
            hello = perf_counter()
            link = Link(found.socket)
            number = link.say(TEXT, voice=VOICE)
            started = link.wait("started", number)
            link.wait("audio", number)
            first = perf_counter()
            stats = link.wait("finished", number)["stats"]
            link.close()
        worker = worker_times(found.log)
        return parts((hello - begin) * 1000, (first - begin) * 1000, started, stats, worker)


def worker_times(log: Path) -> dict[str, float]:
    """The worker's own account of its start, from the daemon's log, in ms."""
    for line in log.read_text(encoding="utf-8").splitlines():
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("event") == "warmed up":
            return {name: told[name] for name in ("start_ms", "load_ms", "warm_up_ms")}
    raise RuntimeError(f"{os.fspath(log)}: the worker did not tell how long it took")


def parts(
    hello_ms: float,
    first_ms: float,
    started: dict[str, Any],
    stats: dict[str, float],
    worker: dict[str, float],
) -> dict[str, float]:
    """The whole, then what it consists of, one after another."""
    load_ms, synth_ms = started["load_ms"], stats["synth_ms"]
    return {
        "first frame": first_ms,
        "daemon: connect to hello": hello_ms,
        "worker: its process": load_ms - sum(worker.values()),
        "worker: imports": worker["start_ms"],
        "worker: model load": worker["load_ms"],
        "worker: warm-up": worker["warm_up_ms"],
        "first step (synth_ms)": synth_ms,
        "the rest": first_ms - hello_ms - load_ms - synth_ms,
    }
