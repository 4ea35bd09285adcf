"""cosyd, a plain Kokoro script and wyoming-piper, measured alike in one run.

Mind what differs: Kokoro (82 M parameters) computes some six times as long as Piper's small
voice for the same text. What the systems make of their model is what is compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import Final

from bench import wyoming
from bench.effort import Effort
from bench.figures import Comparison, Findings, spread
from bench.home import kokoro_missing
from bench.peers import Connection, Cosyd, MakePeer, Peer, Plain, WyomingPiper
from bench.texts import LONG, MEDIUM, SHORT
from bench.venvs import CannotInstall, environment

CROWD: Final = 8
Measures = dict[tuple[str, str], float]
"""(measure, unit) → value."""


def measure(effort: Effort) -> Findings:
    """All systems that are there, one after another."""
    found: dict[str, Measures] = {}
    findings = Findings()
    for make in _systems(findings):
        found[make().name] = _measure(make, effort)
    findings.comparisons = _compared(found)
    return findings


def _systems(findings: Findings) -> list[MakePeer]:
    systems: list[MakePeer] = []
    if why := kokoro_missing():
        findings.skipped["cosyd and a plain script"] = why
    else:
        systems += [Cosyd, Plain]
    try:
        python = environment(wyoming.VENV, wyoming.REQUIREMENTS)
        systems.append(partial(WyomingPiper, python, wyoming.data_dir(python)))
    except CannotInstall as error:
        findings.skipped["wyoming-piper"] = str(error)
    return systems


def _compared(found: dict[str, Measures]) -> list[Comparison]:
    keys = dict.fromkeys(key for measures in found.values() for key in measures)
    return [
        Comparison(name, unit, {system: each.get((name, unit)) for system, each in found.items()})
        for name, unit in keys
    ]


def _measure(make: MakePeer, effort: Effort) -> Measures:
    cold = spread(_cold_ms(make) for _ in range(effort.times(3, 1))).p50
    measures: Measures = {("first audio, cold: from process start", "ms"): cold}
    with make() as peer:
        connection = peer.connect()
        heard_ms(connection, SHORT[0])
        measures |= _alone(connection, effort)
        measures["memory (RSS) after that", "MB"] = peer.rss_mb()
        if peer.several:
            measures |= _crowded(peer, effort)
            measures[f"memory (RSS) after {CROWD} clients", "MB"] = peer.rss_mb()
            measures |= _disturbed(peer, effort)
    return measures


def heard_ms(connection: Connection, text: str) -> tuple[float, float, float]:
    """Say one text alone: ms to the first audio, ms to the last, seconds of audio."""
    begin = perf_counter()
    connection.say(text)
    connection.first()
    first = perf_counter()
    seconds = connection.rest()
    return (first - begin) * 1000, (perf_counter() - begin) * 1000, seconds


def _cold_ms(make: MakePeer) -> float:
    begin = perf_counter()
    with make() as peer:
        connection = peer.connect()
        connection.say(SHORT[0])
        connection.first()
        took_ms = (perf_counter() - begin) * 1000
        connection.rest()
    return took_ms


def _alone(connection: Connection, effort: Effort) -> Measures:
    """One client, one text after another."""
    short = [heard_ms(connection, text)[0] for text in _several(SHORT, effort.times(24, 4))]
    medium = [heard_ms(connection, MEDIUM)[0] for _ in range(effort.times(12, 2))]
    long = [heard_ms(connection, LONG) for _ in range(effort.times(3, 1))]
    return {
        ("first audio, warm, two or three words, p50", "ms"): spread(short).p50,
        ("first audio, warm, a sentence of 4 s, p50", "ms"): spread(medium).p50,
        ("first audio, warm, eight sentences, p50", "ms"): spread(each[0] for each in long).p50,
        ("RTF, eight sentences: time to the last audio ÷ audio", ""): spread(
            total_ms / 1000 / seconds for _, total_ms, seconds in long
        ).p50,
    }


def _several(texts: tuple[str, ...], count: int) -> list[str]:
    return list(islice(cycle(texts), count))


def _crowded(peer: Peer, effort: Effort) -> Measures:
    """Eight clients say a sentence in the same moment."""
    firsts: list[float] = []
    for _ in range(effort.times(3, 1)):
        firsts += _crowd_ms(peer)
    found = spread(firsts)
    what = f"first audio, {CROWD} clients at once"
    return {
        (f"{what}, min", "ms"): found.min,
        (f"{what}, median", "ms"): found.p50,
        (f"{what}, max", "ms"): found.max,
    }


def _crowd_ms(peer: Peer) -> list[float]:
    connections = [peer.connect() for _ in range(CROWD)]
    start = threading.Barrier(CROWD)
    firsts: list[float] = []

    def one(connection: Connection) -> None:
        start.wait()
        firsts.append(heard_ms(connection, MEDIUM)[0])

    _all_together([partial(one, each) for each in connections])
    if len(firsts) != CROWD:
        raise RuntimeError(f"only {len(firsts)} of {CROWD} clients heard anything")
    return firsts


def _all_together(actions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=action) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _disturbed(peer: Peer, effort: Effort) -> Measures:
    """Small requests while eight sentences are being said to somebody else."""
    asked: list[float] = []
    firsts: list[float] = []
    instead: list[float] = []
    for _ in range(effort.times(3, 1)):
        instead.append(_instead_ms(peer))
        asked += _while_speaking(peer, _ask_ms, effort.times(40, 10))
        firsts += _while_speaking(peer, _short_ms, 1)
    idle = peer.connect()
    return {
        ("smallest request (ping; describe), idle, p50", "ms"): spread(
            _ask_ms(idle) for _ in range(effort.times(20, 5))
        ).p50,
        ("the same while eight sentences are computed, p50", "ms"): spread(asked).p50,
        ("the same while eight sentences are computed, max", "ms"): spread(asked).max,
        ("first audio of two words while they are computed, p50", "ms"): spread(firsts).p50,
        ("first audio of two words said instead of them, p50", "ms"): spread(instead).p50,
    }


def _instead_ms(peer: Peer) -> float:
    """Somebody changes their mind while eight sentences are being said to them."""
    connection = peer.connect()
    connection.say(LONG)
    connection.first()
    begin = perf_counter()
    connection.instead(SHORT[0])
    connection.first()
    took_ms = (perf_counter() - begin) * 1000
    connection.rest()
    return took_ms


def _ask_ms(connection: Connection) -> float:
    begin = perf_counter()
    connection.ask()
    return (perf_counter() - begin) * 1000


def _short_ms(connection: Connection) -> float:
    return heard_ms(connection, SHORT[0])[0]


def _while_speaking(peer: Peer, request: Callable[[Connection], float], times: int) -> list[float]:
    """What `request` tells on a second connection, up to `times`, while a long text is said."""
    speaking, asking = peer.connect(), peer.connect()
    speaking.say(LONG)
    speaking.first()
    reader = threading.Thread(target=speaking.rest)
    reader.start()
    told: list[float] = []
    while reader.is_alive() and len(told) < times:
        told.append(request(asking))
        reader.join(0.02)  # the gap between requests
    reader.join()
    if not told:
        raise RuntimeError("the long text was too short to measure anything meanwhile")
    return told
