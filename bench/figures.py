"""Figures: what was measured, against which target, and how values spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

Verdict = Literal["met", "missed", ""]


class Spread(NamedTuple):
    """How values spread; percentiles by nearest rank, as the daemon's `status` makes them."""

    values: int
    min: float
    p50: float
    p95: float
    p99: float
    max: float


def spread(values: Iterable[float]) -> Spread:
    """Raises `ValueError` without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    last = len(ordered) - 1
    ranks = (round(last * share) for share in (0.0, 0.50, 0.95, 0.99, 1.0))
    return Spread(len(ordered), *(ordered[rank] for rank in ranks))


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    section: str
    name: str
    value: float
    unit: str
    limit: float | None = None
    """What it should not exceed; None: no target, it is told for information."""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the target was met; "" without one."""
        if self.limit is None:
            return ""
        return "met" if self.value <= self.limit else "missed"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of several systems in the same run; None: the system cannot do that."""

    name: str
    unit: str
    values: Mapping[str, float | None]


@dataclass
class Findings:
    """All that one run found out."""

    figures: list[Figure] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Section or system → why it was not measured."""

    def extend(self, other: Findings) -> None:
        """Take over another section's."""
        self.figures += other.figures
        self.comparisons += other.comparisons
        self.skipped |= other.skipped

    @property
    def missed(self) -> list[Figure]:
        """Figures over their target."""
        return [figure for figure in self.figures if figure.verdict == "missed"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in self.figures],
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "skipped": self.skipped,
        }


def spread_figures(
    section: str,
    name: str,
    values: Iterable[float],
    unit: str = "ms",
    *,
    target: tuple[Literal["p50", "p99"], float] | None = None,
    note: str = "",
) -> list[Figure]:
    """A figure each for p50, p99 and the maximum, the target set on one of them."""
    found = spread(values)
    note = f"{found.values} times" + (f"; {note}" if note else "")
    shares: tuple[Literal["p50", "p99", "max"], ...] = ("p50", "p99", "max")
    figures = []
    for share in shares:
        limit = target[1] if target is not None and share == target[0] else None
        value = getattr(found, share)
        figures.append(Figure(section, f"{name}, {share}", value, unit, limit, note))
        note = ""
    return figures
