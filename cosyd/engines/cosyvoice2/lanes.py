"""Work beside the language model: on CUDA a thread with a stream of its own.

The flow's Python must look at numbers on its way (its pitch, its length), which waits for the
device; in a thread only the lane waits. All memory that a lane's work allocates belongs to its
stream, so what it makes should be used and dropped in work of the same lane.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, Protocol, TypeVar

import torch

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """Work that was begun."""

    def done(self) -> bool:
        """Whether `result` would not wait."""

    def result(self) -> T_co:
        """What it made, once it is there. Raises what the work raised."""


class Lane(Protocol):
    """Runs pieces of work, one after the other."""

    def run(self, work: Callable[[], T]) -> Pending[T]:
        """Begin `work`.

        Raises:
            ValueError: too much is waiting.
        """

    def close(self) -> None:
        """Wait for all that was begun, and take no more."""


class Due(Generic[T]):
    """Work that is done when its result is asked for; never, if nobody asks."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._made: list[T] = []

    def done(self) -> bool:
        """See `Pending`: there is nothing else to wait for."""
        return True

    def result(self) -> T:
        """See `Pending`."""
        if self._work is not None:
            self._made.append(self._work())
            self._work = None
        return self._made[0]


class DirectLane:
    """Does the work in `result`: where there is one processor for everything."""

    def run(self, work: Callable[[], T]) -> Pending[T]:
        """See `Lane`."""
        return Due(work)

    def close(self) -> None:
        """See `Lane`."""


Around = Callable[[], AbstractContextManager[object]]
"""Called in `run`, entered by the thread around the work."""


class ThreadLane:
    """Does the work in a thread.

    Args:
        around: makes what the work runs in.
        most: pieces of work that may be begun and not done.
    """

    def __init__(self, around: Around, *, most: int = 32) -> None:
        self._around = around
        self._most = most
        self._begun: list[Future[object]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lane")

    def run(self, work: Callable[[], T]) -> Pending[T]:
        """See `Lane`."""
        self._begun = [future for future in self._begun if not future.done()]
        if len(self._begun) >= self._most:
            raise ValueError(f"{self._most} pieces of work wait already")
        around = self._around()

        def inside() -> T:
            with around:
                return work()

        future = self._thread.submit(inside)
        self._begun.append(future)  # type: ignore[arg-type]  # only ever asked whether it is done
        return future

    def close(self) -> None:
        """See `Lane`."""
        self._thread.shutdown()


class _OnStream:
    """Makes the work's kernels go to `stream`, after all that the caller began on its own."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream = stream
        self._before = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no type
        self._before.record(torch.cuda.current_stream(stream.device))
        self._entered = ExitStack()

    def __enter__(self) -> None:
        self._entered.enter_context(torch.cuda.stream(self._stream))  # sets the device, too
        self._stream.wait_event(self._before)

    def __exit__(self, *error: object) -> None:
        # The caller may use what came out on its own stream at once: it must be there.
        try:
            self._stream.synchronize()
        finally:
            self._entered.close()


def lane(device: torch.device, *, most: int = 32) -> Lane:
    """The lane for a device.

    Args:
        device: where the work computes.
        most: see `ThreadLane`.
    """
    if device.type != "cuda":
        return DirectLane()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has no type
    return ThreadLane(lambda: _OnStream(stream), most=most)
