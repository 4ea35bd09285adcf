"""What both sides of the CosyVoice 2 comparison share; needs nothing of either."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

TOKENS: Final = 250
"""Speech tokens made of every text: ten seconds."""
TEXT: Final = tuple(range(1000, 1025))
"""Text tokens: between 50 and 500 speech tokens may come of them, so both sides obey `TOKENS`."""
END: Final = 6561
"""The token that ends the speech; the two after it mean nothing here."""
VOICE: Final = "random"
SEED: Final = 1234


@dataclass
class Sample:
    """What one process found out; seconds unless told otherwise."""

    imports_s: float = 0.0
    load_s: float = 0.0
    loaded_mb: float = 0.0
    """Resident memory when loaded, in 10⁶ bytes."""
    peak_mb: float = 0.0
    """The most there ever was."""
    voice_s: float = 0.0
    """Making the voice's state, once; 0 where there is none."""
    requests: list[Request] = field(default_factory=list)

    def tell(self) -> None:
        """As the last line of stdout."""
        self.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps(asdict(self)), flush=True)


@dataclass
class Request:
    """One utterance."""

    first_s: float
    """From the request to the first sound."""
    total_s: float
    cpu_s: float
    """Of the processor, until the last sound."""
    audio_s: float
    first_cpu_s: float


def resident_mb() -> float:
    """Of this process, in 10⁶ bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return 0.0


def timed(pieces: Iterator[int], rate: int) -> Request:
    """Time an utterance whose pieces have these lengths, in samples."""
    begin, cpu = time.perf_counter(), time.process_time()
    first = first_cpu = 0.0
    samples = 0
    for count in pieces:
        if count and not samples:
            first, first_cpu = time.perf_counter() - begin, time.process_time() - cpu
        samples += count
    total, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return Request(first, total, cpu, samples / rate, first_cpu)


def forced(choose: Callable[..., Any], logp: Any, decoded: Sequence[int]) -> Any:
    """`choose` with the special tokens barred, until `TOKENS` are there: then only the end is left.

    Args:
        choose: the sampler, with everything but the log-probabilities given.
        logp: a tensor [V] of log-probabilities.
        decoded: the tokens so far.
    """
    logp = logp.clone()
    if len(decoded) < TOKENS:
        logp[END:] = float("-inf")
    else:
        logp[:END] = logp[END + 1 :] = float("-inf")
    return choose(logp)


def requests(arguments: Sequence[str]) -> int:
    """How many utterances a worker's last argument asks for."""
    return int(arguments[-1])


if __name__ == "__main__":
    sys.exit("run python -m bench.cosyvoice2")
