"""What stands in for CUDA's graphs: the work is done again, on the same memory."""

from __future__ import annotations

from collections.abc import Callable

Work = Callable[[], None]


class Replays:
    """A `graphs.Capture` that counts.

    Args:
        most: captures until memory "is out".
    """

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self.captured = 0
        self.replayed = 0

    def __call__(self, work: Work) -> Work:
        if self.captured == self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate a lot\nand more lines")
        self.captured += 1
        work()

        def replay() -> None:
            self.replayed += 1
            work()

        return replay
