"""CUDA graphs: a step's thousand kernels launched in one call, for a few fixed sizes (buckets).

A graph repeats what was done on the memory it was done on. So everything that changes is written
into fixed tensors first, and a call takes the smallest bucket that it fits into: what is over is
computed for nothing, and masked. Nothing here knows the model: `lm_graphs` is the language model's
step of one token for every utterance, `flow_graphs` the solver's step.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple, Protocol

import torch

_log = logging.getLogger(__name__)

Work = Callable[[], None]


class Capture(Protocol):
    """Makes a graph of work."""

    def __call__(self, work: Work) -> Work:
        """Do `work`, and give what repeats it on the same memory. Raises `RuntimeError`."""


class CudaCapture:
    """The real one. Graphs of one capture share their memory: they never run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # A stream of its own also keeps cuBLAS's workspace apart from other captures'.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has none
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        """See `Capture`."""
        with torch.cuda.device(self._device):
            caller = torch.cuda.current_stream()
            self._stream.wait_stream(caller)
            with torch.cuda.stream(self._stream):
                work()  # libraries allocate at their first call, which no graph may hold
                work()
            graph = torch.cuda.CUDAGraph()
            try:
                # "thread_local": another thread may allocate meanwhile.
                with torch.cuda.graph(
                    graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
                ):
                    work()
            finally:
                torch.cuda.set_stream(caller)  # a capture that fails leaves its own set
            caller.wait_stream(self._stream)
        return graph.replay


class Bucket(NamedTuple):
    """Sizes a graph is for."""

    rows: int
    """New rows: utterances, or frames."""
    room: int
    """Rows of the cache that are looked at."""

    def fits(self, rows: int, room: int) -> bool:
        """Whether that much goes into it."""
        return rows <= self.rows and room <= self.room


class Recorded:
    """The graphs there are, by bucket."""

    def __init__(self) -> None:
        self._replays: dict[Bucket, Work] = {}

    def __len__(self) -> int:
        return len(self._replays)

    def record(
        self,
        name: str,
        buckets: Iterable[tuple[int, int]],
        make: Callable[[Bucket], Work],
        capture: Capture,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Capture buckets, in their order, until time or memory is out.

        Args:
            name: for the log.
            make: the work of a bucket.
            capture: makes graphs.
            seconds: after that no further capture is begun.
            clock: tells the time.
        """
        end = clock() + seconds
        for bucket in buckets:
            if clock() >= end:
                _log.info("%s: %d graphs in %.0f s, no more", name, len(self), seconds)
                return
            try:
                self._replays[Bucket(*bucket)] = capture(make(Bucket(*bucket)))
            except RuntimeError as error:  # CUDA's errors, out of memory among them
                line = str(error).partition("\n")[0]
                _log.warning("%s: %d graphs, no more: %s", name, len(self), line)
                return

    def choose(self, rows: int, room: int) -> tuple[Bucket, Work] | None:
        """The smallest that fits, and its graph."""
        fitting = [bucket for bucket in self._replays if bucket.fits(rows, room)]
        best = min(fitting, key=lambda bucket: (bucket.rows * bucket.room, bucket), default=None)
        return None if best is None else (best, self._replays[best])


class Graphed(ABC):
    """Work of several sizes on fixed memory, of which the common ones become graphs."""

    name: ClassVar[str]
    """For the log."""
    buckets: ClassVar[Sequence[tuple[int, int]]]
    """Sizes worth a graph, the most useful first."""

    def __init__(self) -> None:
        self._recorded = Recorded()

    @property
    def graphs(self) -> int:
        """How many were captured."""
        return len(self._recorded)

    @torch.inference_mode()
    def record(
        self,
        capture: Capture,
        *,
        seconds: float,
        buckets: Iterable[tuple[int, int]] | None = None,
    ) -> None:
        """Capture what time and memory allow; the other sizes are computed eagerly."""
        chosen = self.buckets if buckets is None else buckets
        self._recorded.record(self.name, chosen, self._work, capture, seconds=seconds)

    @abstractmethod
    def _work(self, bucket: Bucket) -> Work:
        """What computes a bucket, on the fixed memory."""
