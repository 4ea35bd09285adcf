"""The whole engine in this process, stepped as the worker does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cosyd.engines.base import Chunk, Request
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.stream import Stream
from cosyd.errors import CosydError

TEXT = "Hello there, friend."
OTHER = "Something else."
Outcomes = list[Chunk | CosydError | None]


def opened(
    engine: CosyVoice2Engine, request: Request, text: str | None = TEXT, *, final: bool = True
) -> Stream:
    stream = engine.open(request)
    if text is not None:
        stream.write(text, final=final)
    return stream


def run(engine: CosyVoice2Engine, *streams: Stream) -> list[Outcomes]:
    """Step all that are ready until none is, as the worker does; the outcomes of each."""
    made: list[Outcomes] = [[] for _ in streams]
    over: set[int] = set()
    while batch := [s for s in streams if id(s) not in over and s.ready]:
        for stream, outcome in zip(batch, engine.step(batch), strict=True):
            made[streams.index(stream)].append(outcome)
            if not isinstance(outcome, Chunk):
                over.add(id(stream))
                stream.close()
    return made


def chunks(outcomes: Outcomes) -> list[Chunk]:
    return [outcome for outcome in outcomes if isinstance(outcome, Chunk)]


def sound(outcomes: Outcomes) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *(chunk.pcm for chunk in chunks(outcomes))])


def say(engine: CosyVoice2Engine, request: Request, text: str = TEXT) -> NDArray[np.float32]:
    (outcomes,) = run(engine, opened(engine, request, text))
    assert outcomes[-1] is None, outcomes[-1]
    return sound(outcomes)
