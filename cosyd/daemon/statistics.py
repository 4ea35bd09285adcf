"""Counts and percentiles for `status`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final

from cosyd.daemon.utterance import Utterance

SAMPLES: Final = 1024
"""How many of the latest values percentiles are made from."""


def percentiles(values: Iterable[float]) -> dict[str, float | int | None]:
    """`count`, and `p50`, `p95`, `p99` by nearest rank (None without values)."""
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    if not ordered:
        return {"count": 0, **dict.fromkeys(ranks)}
    last = len(ordered) - 1
    return {"count": len(ordered), **{k: ordered[round(last * q)] for k, q in ranks.items()}}


class Statistics:
    """What has happened since the daemon began."""

    def __init__(self) -> None:
        self.said = 0
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.temperatures: Counter[str] = Counter()
        self._ttfa_ms: deque[float] = deque(maxlen=SAMPLES)
        self._rtf: deque[float] = deque(maxlen=SAMPLES)

    def ended(self, utterance: Utterance) -> None:
        """Count an utterance that has had its terminal message."""
        self.outcomes[utterance.outcome or "failed"] += 1
        if utterance.source is not None:
            self.temperatures["cold" if utterance.cold else "warm"] += 1
        if utterance.ttfa_ms is not None:
            self._ttfa_ms.append(round(utterance.ttfa_ms, 3))
        if utterance.stats:
            self._rtf.append(utterance.stats["rtf"])

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
        }
