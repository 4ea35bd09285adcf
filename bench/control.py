"""How soon the daemon answers while its models are busy: `ping`, `pause`, `resume`, `stop`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Final

from bench.effort import Effort
from bench.figures import Figure, Findings, spread_figures
from bench.home import ROOT, home
from bench.texts import LONG
from bench.wire import Link

VOICE: Final = "af_heart"
BUSY: Final = 4
"""Utterances being synthesised meanwhile."""
PING_MS: Final = 10.0
STOP_MS: Final = 20.0
_GAP_S: Final = 0.01
"""Between pings: they shall meet all that the synthesis does."""


def measure(effort: Effort) -> Findings:
    """While four Kokoro utterances are synthesised."""
    with home() as found:
        with found.connect() as client:
            client.load(voice=VOICE)
        link = Link(found.socket)
        with busy(found.socket):
            figures = _pings(link, effort.times(500, 100))
            figures += _controls(link, effort.times(100, 15))
        link.close()
    return Findings(figures=figures)


@contextmanager
def busy(socket: str) -> Iterator[None]:
    """Keep the model busy until the block ends."""
    command = [sys.executable, "-m", "bench.load", socket, VOICE, str(BUSY)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if (told := process.stdout.readline()) == b"ready\n":
            yield
            process.stdin.close()
            told = process.stdout.read()
        if told:
            why = told.decode().strip()
            raise RuntimeError(f"the utterances that were to keep the model busy failed: {why}")


def _pings(link: Link, times: int) -> list[Figure]:
    took = []
    for _ in range(times):
        sleep(_GAP_S)
        took.append(_timed(link, "ping", "pong"))
    name = f"ping, {BUSY} utterances synthesised"
    return spread_figures("control", name, took, target=("p99", PING_MS))


def _controls(link: Link, times: int) -> list[Figure]:
    """Pause, resume and stop utterances of the busy model."""
    answers = {"pause": "paused", "resume": "resumed", "stop": "stopped"}
    took: dict[str, list[float]] = {kind: [] for kind in answers}
    for _ in range(times):
        number = link.say(LONG, voice=VOICE)
        link.wait("started", number)
        for kind, answer in answers.items():
            took[kind].append(_timed(link, kind, answer, number))
    figures = []
    for kind, values in took.items():
        name = f"{kind} acknowledged, {BUSY} utterances synthesised"
        figures += spread_figures("control", name, values, target=("p99", STOP_MS))
    return figures


def _timed(link: Link, kind: str, answer: str, number: int | None = None) -> float:
    fields = {} if number is None else {"id": number}
    begin = perf_counter()
    link.call(kind, answer, **fields)
    return (perf_counter() - begin) * 1000
