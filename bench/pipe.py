"""`cosy say -o -` with a warm daemon: what the command line adds before the first sound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from time import monotonic, perf_counter, sleep
from typing import Final

from bench.effort import Effort
from bench.figures import Figure, Findings, spread_figures
from bench.home import Home, cosy, home, kokoro_missing
from bench.texts import SHORT

TARGET_MS: Final = 60.0
WAV_HEADER_BYTES: Final = 44
FORBIDDEN: Final = (
    "argparse",
    "asyncio",
    "click",
    "json",
    "logging",
    "numpy",
    "onnxruntime",
    "pathlib",
    "platformdirs",
    "sounddevice",
    "soxr",
    "subprocess",
    "torch",
    "uvloop",
    "yaml",
)
"""Packages that a `cosy say` to a pipe has no use for."""
_LOG_GUARD_S: Final = 10.0


def measure(effort: Effort) -> Findings:
    """Time from the process's start to the first audio byte, less the daemon's own TTFA."""
    with home() as found:
        findings = Findings(figures=_timed(found, "tone", effort.times(40, 8)))
        why = kokoro_missing()
        if why is None:
            findings.figures += _timed(found, "af_heart", effort.times(20, 4))
        else:
            findings.skipped["pipe with Kokoro"] = why
        findings.figures += [*_python_itself(effort.times(20, 5)), _modules()]
    return findings


def _timed(found: Home, voice: str, times: int) -> list[Figure]:
    with found.connect() as client:
        client.load(voice=voice)
    for text in SHORT[:3]:
        first_byte_ms(voice, text)
    before = len(list(daemon_ttfas_ms(found)))
    texts = islice(cycle(SHORT), times)
    firsts = [first_byte_ms(voice, text) for text in texts]
    ttfas = _all_ttfas_ms(found, before + times)[before:]
    added = [first - ttfa for first, ttfa in zip(firsts, ttfas, strict=True)]
    note = "process start to first audio byte, less the daemon's TTFA"
    name = f"cosy say -o -, {voice}"
    return spread_figures("pipe", name, added, target=("p50", TARGET_MS), note=note)


def first_byte_ms(voice: str, text: str) -> float:
    """From the start of a `cosy say -o -` until its first sample comes out."""
    begin = perf_counter()
    with subprocess.Popen([*cosy(), "say", "-v", voice, "-o", "-", text], stdout=-1) as process:
        assert process.stdout is not None
        _read_past(process.stdout.fileno(), WAV_HEADER_BYTES)
        took_ms = (perf_counter() - begin) * 1000
        process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"cosy say ended with {process.returncode}")
    return took_ms


def _read_past(descriptor: int, header_bytes: int) -> None:
    got = 0
    while got <= header_bytes:
        data = os.read(descriptor, header_bytes + 1 - got)
        if not data:
            raise RuntimeError("cosy say wrote no sound")
        got += len(data)


def daemon_ttfas_ms(found: Home) -> Iterator[float]:
    """What the daemon's log says of each utterance that ended, in order."""
    for line in found.log.read_text().splitlines():
        if '"ttfa_ms"' in line:
            yield float(json.loads(line)["ttfa_ms"])


def _all_ttfas_ms(found: Home, count: int) -> list[float]:
    """Of `count` utterances; the last lines may be written after the command has ended."""
    end = monotonic() + _LOG_GUARD_S
    while len(ttfas := list(daemon_ttfas_ms(found))) < count:
        if monotonic() > end:
            raise RuntimeError(f"{found.log} tells of {len(ttfas)} utterances, not {count}")
        sleep(0.01)  # a file gives no event
    return ttfas


def _python_itself(times: int) -> list[Figure]:
    """What nobody can save: Python's own start and end, without cosyd."""
    took = []
    for _ in range(times):
        begin = perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        took.append((perf_counter() - begin) * 1000)
    note = "for comparison: start and end"
    return spread_figures("pipe", "python -c pass", took, note=note)[:1]


def _modules() -> Figure:
    loaded = sorted(set(FORBIDDEN) & imported_packages())
    note = f"of {' '.join(FORBIDDEN)}: {' '.join(loaded) or 'none is loaded'}"
    return Figure("pipe", "needless packages imported", len(loaded), "modules", 0, note)


def imported_packages() -> set[str]:
    """Top-level packages that a `cosy say -o -` imports, those of Python's own start left out."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    say = [*cosy(), "say", "-v", "tone", "-o", "-", SHORT[0]]
    return _told(say, environment) - _told([sys.executable, "-c", "pass"], environment)


def _told(command: list[str], environment: dict[str, str]) -> set[str]:
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    lines = done.stderr.decode(errors="replace").splitlines()
    told = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    return {name.partition(".")[0] for name in told}
