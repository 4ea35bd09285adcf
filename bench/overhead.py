"""What the daemon adds: first frame at the client minus the engine's own compute.

Each text is one segment, so `synth_ms` of its `finished` is exactly the engine's compute for
its one chunk, measured around the engine's step in the very worker that served the request.
What remains is everything of ours: two sockets, two processes, resampling, loudness, framing.
"""

from __future__ import annotations

from itertools import cycle, islice
from time import perf_counter
from typing import Final

from bench.effort import Effort
from bench.figures import Figure, Findings, spread_figures
from bench.home import Home, home
from bench.texts import SHORT
from bench.wire import Link

TARGET_MS: Final = 5.0
ENGINE_RATE: Final = 24_000
"""Hz of both engines: nothing to resample."""
NOTE: Final = "request to first frame, less synth_ms"


def measure_tone(effort: Effort) -> Findings:
    """With an engine that takes no time."""
    return _measure("tone", effort.times(200, 20))


def measure_kokoro(effort: Effort) -> Findings:
    """With a real one, which leaves the caches cold and the cores busy."""
    return _measure("af_heart", effort.times(40, 6))


def overhead_ms(link: Link, voice: str, text: str, sample_rate: int) -> float:
    """What the daemon adds to one utterance."""
    begin = perf_counter()
    number = link.say(text, voice=voice, sample_rate=sample_rate)
    link.wait("audio", number)
    first_ms = (perf_counter() - begin) * 1000
    synth_ms: float = link.wait("finished", number)["stats"]["synth_ms"]
    return first_ms - synth_ms


def _measure(voice: str, times: int) -> Findings:
    with home() as found:
        return Findings(figures=_figures(found, voice, times))


def _figures(found: Home, voice: str, times: int) -> list[Figure]:
    found.connect().close()  # starts it
    link = Link(found.socket)
    link.call("load", "loaded", voice=voice)
    for text in SHORT:  # a voice's first words load lexicons and style
        overhead_ms(link, voice, text, 48_000)
    figures = []
    for rate in (48_000, ENGINE_RATE):
        texts = islice(cycle(SHORT), times)
        values = [overhead_ms(link, voice, text, rate) for text in texts]
        name = f"{voice}, {rate // 1000} kHz"
        figures += spread_figures("overhead", name, values, target=("p50", TARGET_MS), note=NOTE)
    link.close()
    return figures
