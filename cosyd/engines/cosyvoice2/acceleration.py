"""Graphs for language model and flow, captured while the model is warmed up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import torch

from cosyd.engines.cosyvoice2.flow_graphs import Solver
from cosyd.engines.cosyvoice2.graphs import Capture, CudaCapture, Graphed
from cosyd.engines.cosyvoice2.lm_graphs import Decoder

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.flow import Flow
    from cosyd.engines.cosyvoice2.speech_lm import SpeechLm

GraphedT = TypeVar("GraphedT", bound=Graphed)
_LOG: Final = logging.getLogger("cosyd.cosyvoice2")
CAPTURE_S: Final = 10.0
"""How long each of the two may take; what is not captured then is computed without a graph."""


class Report(NamedTuple):
    """What came of it."""

    decode_graphs: int
    flow_graphs: int
    seconds: float


def accelerate(
    speech: SpeechLm,
    flow: Flow,
    device: torch.device,
    *,
    capture: Callable[[torch.device], Capture] = CudaCapture,
    seconds: float = CAPTURE_S,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Capture graphs on a CUDA device and use them from now on.

    Nothing may be computed beside it. Voices that were made before go on without graphs. Without
    memory for it, everything stays as it is.

    Args:
        speech, flow: changed: they get the graphs.
        device: where both are.
        capture: makes a capture for each, so that both can run at the same time.
        seconds: see `CAPTURE_S`.
        clock: tells the time.
    """
    begun = clock()
    decoder = _captured(lambda: Decoder(speech.lm), capture(device), seconds)
    solver = _captured(lambda: Solver(flow.cfm), capture(device), seconds)
    speech.decoder, flow.cfm.graphs = decoder, solver
    report = Report(_count(decoder), _count(solver), clock() - begun)
    _LOG.info("captured %d and %d graphs in %.1f s", *report)
    return report


def _captured(make: Callable[[], GraphedT], capture: Capture, seconds: float) -> GraphedT | None:
    """What computes with graphs; None if not one could be captured."""
    try:
        made = make()
    except torch.OutOfMemoryError as error:
        line = str(error).partition("\n")[0]
        _LOG.warning("no memory for graphs, speech goes on without: %s", line)
        return None
    made.record(capture, seconds=seconds)
    return made if made.graphs else None


def _count(made: Graphed | None) -> int:
    return 0 if made is None else made.graphs
