"""From nothing to the first sound: no daemon, no model; only the disk's cache may be warm."""

from __future__ import annotations

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


def measure(effort: Effort) -> Findings:
    """Medians of several cold starts, split as far as the daemon tells."""
    times = effort.times(5, 1)
    runs = [_from_library() for _ in range(times)]
    figures = [_figure(name, [run[name] for run in runs]) for name in runs[0]]
    figures.append(
        _figure("cosy say -o -, first audio byte", [_from_shell() for _ in range(times)])
    )
    return Findings(figures=figures)


def _figure(name: str, values: list[float]) -> Figure:
    return Figure("cold", f"{name}, p50", spread(values).p50, "ms", note=f"{len(values)} times")


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
        return _parts((hello - begin) * 1000, (first - begin) * 1000, started, stats)


def _parts(
    hello_ms: float, first_ms: float, started: dict[str, Any], stats: dict[str, float]
) -> dict[str, float]:
    load_ms, synth_ms = started["load_ms"], stats["synth_ms"]
    return {
        "first frame": first_ms,
        "of that: connect to hello": hello_ms,
        "of that: model load (load_ms)": load_ms,
        "of that: first step (synth_ms)": synth_ms,
        "of that: the rest": first_ms - hello_ms - load_ms - synth_ms,
    }
