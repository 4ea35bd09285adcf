"""Graphs for language model and flow, captured while the model is warmed up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from cosyd.engines.cosyvoice2 import flow_graphs, graphs
from cosyd.engines.cosyvoice2.flow_graphs import Solver
from cosyd.engines.cosyvoice2.graphs import Capture, CudaCapture, Decoder

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.flow import Flow
    from cosyd.engines.cosyvoice2.speech_lm import SpeechLm

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
    decode = _decoding(speech, capture(device), seconds)
    solve = _solving(flow, capture(device), seconds)
    report = Report(decode, solve, clock() - begun)
    _LOG.info("captured %d and %d graphs in %.1f s", *report)
    return report


def _decoding(speech: SpeechLm, capture: Capture, seconds: float) -> int:
    try:
        decoder = Decoder(speech.lm)
    except torch.OutOfMemoryError:
        _LOG.warning("no memory for the language model's graphs: it goes on without")
        return 0
    decoder.record(capture, seconds=seconds, buckets=graphs.DECODE_BUCKETS)
    if decoder.graphs:
        speech.decoder = decoder
    return decoder.graphs


def _solving(flow: Flow, capture: Capture, seconds: float) -> int:
    try:
        solver = Solver(flow.cfm)
    except torch.OutOfMemoryError:
        _LOG.warning("no memory for the flow's graphs: it goes on without")
        return 0
    solver.record(capture, seconds=seconds, buckets=flow_graphs.SOLVE_BUCKETS)
    if solver.graphs:
        flow.cfm.graphs = solver
    return solver.graphs
