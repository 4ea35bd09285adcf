"""Counts, percentiles and histograms for `status` and what is made of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from cosyd.daemon.utterance import Utterance

SAMPLES: Final = 1024
"""How many of the latest values percentiles are made from."""
MAX_MODELS: Final = 64
"""Models that are counted one by one; all further ones count as `OTHERS`."""
OTHERS: Final = "others"

FIRST_SOUND_S: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Upper bounds of a histogram's buckets; one more, without a bound, comes after the last."""
REAL_TIME_FACTOR: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)
WAIT_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def percentiles(values: Iterable[float]) -> dict[str, float | int | None]:
    """`count`, and `p50`, `p95`, `p99` by nearest rank (None without values)."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    if not ordered:
        return {"count": 0, **dict.fromkeys(ranks)}
    last = len(ordered) - 1
    return {"count": len(ordered), **{k: ordered[round(last * q)] for k, q in ranks.items()}}


class Histogram:
    """How many values fell between fixed bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` grow; a value that equals one falls below it."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def snapshot(self) -> dict[str, Any]:
        """`bounds`, `counts` (each bucket's own; one more than bounds) and `sum`."""
        return {
            "bounds": list(self._bounds),
            "counts": list(self._counts),
            "sum": round(self._sum, 6),
        }


class Statistics:
    """What has happened since the daemon began."""

    def __init__(self) -> None:
        self.said = 0
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        """Utterances that failed, by code; `errors` counts other refusals too."""
        self.temperatures: Counter[str] = Counter()
        self._ttfa_ms: deque[float] = deque(maxlen=SAMPLES)
        self._rtf: deque[float] = deque(maxlen=SAMPLES)
        self._histograms = {
            "ttfa_cold_s": Histogram(FIRST_SOUND_S),
            "ttfa_warm_s": Histogram(FIRST_SOUND_S),
            "rtf": Histogram(REAL_TIME_FACTOR),
            "queue_s": Histogram(WAIT_S),
        }
        self._models: dict[str, dict[str, float]] = {}

    def refused(self, code: str) -> None:
        """Count a `say` that failed before it became an utterance."""
        self.outcomes["failed"] += 1
        self.failures[code] += 1

    def ended(self, utterance: Utterance) -> None:
        """Count an utterance that has had its terminal message."""
        self.outcomes[utterance.outcome or "failed"] += 1
        if utterance.error_code is not None:
            self.failures[utterance.error_code] += 1
        temperature = "cold" if utterance.cold else "warm"
        if utterance.source is not None:
            self.temperatures[temperature] += 1
            self._histograms["queue_s"].observe(utterance.queue_ms / 1000)
        if utterance.ttfa_ms is not None:
            self._ttfa_ms.append(round(utterance.ttfa_ms, 3))
            self._histograms[f"ttfa_{temperature}_s"].observe(utterance.ttfa_ms / 1000)
        if utterance.stats:
            self._rtf.append(utterance.stats["rtf"])
            self._histograms["rtf"].observe(utterance.stats["rtf"])

    def loaded(self, model: str, ms: float, cold: bool) -> None:
        """Count a load of `model` that took `ms`; `cold`: an utterance was waiting for it."""
        counts = self._of(model)
        counts["loads_cold" if cold else "loads_ahead"] += 1
        counts["load_s"] = round(counts["load_s"] + ms / 1000, 6)

    def restarted(self, model: str) -> None:
        """Count a worker of `model` that was lost."""
        self._of(model)["restarts"] += 1

    def _of(self, model: str) -> dict[str, float]:
        if model not in self._models and len(self._models) >= MAX_MODELS:
            model = OTHERS
        nothing = {"loads_cold": 0, "loads_ahead": 0, "load_s": 0.0, "restarts": 0}
        return self._models.setdefault(model, nothing)

    def snapshot(self, active: int, queued: int) -> dict[str, Any]:
        """The fields of `status` that are counts."""
        return {
            "utterances": {
                "active": active,
                "queued": queued,
                "total": self.said,
                **{kind: self.outcomes[kind] for kind in ("finished", "stopped", "failed")},
                **{kind: self.temperatures[kind] for kind in ("cold", "warm")},
            },
            "errors": dict(self.errors),
            "ttfa_ms": percentiles(self._ttfa_ms),
            "rtf": percentiles(self._rtf),
            "metrics": {
                "failures": dict(self.failures),
                **{name: each.snapshot() for name, each in self._histograms.items()},
                "models": {model: dict(counts) for model, counts in self._models.items()},
            },
        }
