"""The engine on the card, as the worker drives it: first audio, several utterances at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from bench.figures import Figure, spread
from bench.gpu_card import MODEL, driver_mb, wait
from cosyd.engines.base import Chunk, Request, Settings
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.load import load
from cosyd.engines.cosyvoice2.stream import Stream
from cosyd.voices.voicepack import Voicepack

FIRST_MS = 60.0
RTF = 0.05
AGGREGATE = 40.0
MEMORY_MB = 2500.0


class Spoken(NamedTuple):
    """What came of some utterances that began together."""

    first_s: float
    """Until the first sound of any."""
    total_s: float
    audio_s: float
    """Of all together."""


class Loaded(NamedTuple):
    """An engine and what it took to get it."""

    engine: CosyVoice2Engine
    load_s: float
    warm_up_s: float


def loaded(data: Path, device: torch.device, precision: str) -> Loaded:
    """Load and warm up."""
    begin, threads = time.perf_counter(), torch.get_num_threads()
    engine = load(MODEL, Settings(data, str(device), precision))
    torch.set_num_threads(threads)  # it takes all cores there are
    wait(device)
    middle = time.perf_counter()
    engine.warm_up()
    wait(device)
    return Loaded(engine, middle - begin, time.perf_counter() - middle)


def speak(engine: CosyVoice2Engine, pack: Voicepack, texts: Sequence[str]) -> Spoken:
    """Speak texts at the same time.

    Raises:
        CosydError: one failed.
    """
    begin = time.perf_counter()
    streams = [_open(engine, pack, text, seed) for seed, text in enumerate(texts)]
    first, samples = 0.0, 0
    going: list[Stream] = streams
    while going:
        ready = [stream for stream in going if stream.ready]
        for stream, outcome in zip(ready, engine.step(ready), strict=True):
            if isinstance(outcome, Chunk):
                samples += len(outcome.pcm)
                if samples and not first:
                    first = time.perf_counter() - begin
            elif outcome is None:
                going = [other for other in going if other is not stream]
            else:
                raise outcome
    total = time.perf_counter() - begin
    for stream in streams:
        stream.close()
    return Spoken(first, total, samples / engine.sample_rate)


def _open(engine: CosyVoice2Engine, pack: Voicepack, text: str, seed: int) -> Stream:
    stream = engine.open(Request(pack, seed=seed))
    stream.write(text, final=True)
    return stream


def figures(
    data: Path,
    pack: Voicepack,
    device: torch.device,
    precision: str,
    text: str,
    *,
    times: int,
    most: int,
) -> list[Figure]:
    """Everything that is asked of the whole engine.

    Args:
        data: the data directory.
        pack: the voice.
        device: where it computes.
        precision: in which numbers.
        text: what is said.
        times: utterances for the first audio.
        most: utterances at once.
    """
    before = driver_mb(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    made = loaded(data, device, precision)
    speak(made.engine, pack, [text])  # makes the voice
    alone = [speak(made.engine, pack, [text]) for _ in range(times)]
    found = [
        Figure("engine", f"{precision}: load", made.load_s, "s"),
        Figure("engine", f"{precision}: warm-up with graphs", made.warm_up_s, "s"),
        *_memory(device, precision, before),
        *_first(precision, alone),
    ]
    counts = [count for count in (1, 4, 8, 16) if count <= most]
    found += [_together(made.engine, pack, precision, text, count) for count in counts]
    if device.type == "cuda":
        held = torch.cuda.max_memory_reserved(device) / 1e6
        found.append(Figure("memory", f"{precision}: held at {most} streams, most", held, "MB"))
    return found


def _first(precision: str, alone: Sequence[Spoken]) -> list[Figure]:
    found = spread(spoken.first_s * 1e3 for spoken in alone)
    name, note = f"{precision}: first audio, known voice", f"{len(alone)} times"
    rtf = sorted(spoken.total_s / spoken.audio_s for spoken in alone)[len(alone) // 2]
    seconds = alone[0].audio_s
    return [
        Figure("engine", f"{name}, p50", found.p50, "ms", FIRST_MS, note),
        Figure("engine", f"{name}, p95", found.p95, "ms"),
        Figure("engine", f"{precision}: RTF alone, p50", rtf, "", RTF, f"{seconds:.1f} s of audio"),
    ]


def _memory(device: torch.device, precision: str, before: float | None) -> list[Figure]:
    """What one utterance left held, the most there was."""
    if device.type != "cuda":
        return []
    held = torch.cuda.max_memory_reserved(device) / 1e6
    note = "by torch, weights, caches and graphs, after one utterance"
    found = [Figure("memory", f"{precision}: held", held, "MB", MEMORY_MB, note)]
    now = driver_mb(device)
    if before is not None and now is not None:
        name = f"{precision}: more in use on the card"
        found.append(Figure("memory", name, now - before, "MB", None, "driver; with its context"))
    return found


def _together(
    engine: CosyVoice2Engine, pack: Voicepack, precision: str, text: str, count: int
) -> Figure:
    spoken = speak(engine, pack, [text] * count)
    limit = 1 / AGGREGATE if count == 16 else None
    note = f"{spoken.audio_s / spoken.total_s:.1f} × real time, {spoken.audio_s:.0f} s of audio"
    name = f"{precision}: time for a second of audio, {count} streams"
    return Figure("engine", name, spoken.total_s / spoken.audio_s, "s", limit, note)
