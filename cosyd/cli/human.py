"""Numbers and tables for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import click


def duration(seconds: float) -> str:
    """Such as "45 s", "3 min 20 s", "2 h 5 min": two units at most."""
    whole = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (finer, finer_size) in pairwise(units):
        if whole >= size:
            count, rest = whole // size, whole % size // finer_size
            return f"{count} {name} {rest} {finer}" if rest else f"{count} {name}"
    return f"{whole} s"


def size(count: int) -> str:
    """Bytes, such as "812 MB" (powers of ten)."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def table(rows: Sequence[Sequence[str]]) -> str:
    """`rows` in columns two spaces apart; the last column is not padded."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = (
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def plural(count: int, noun: str) -> str:
    """Such as "1 model" or "2 models"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def show_json(value: Any) -> None:
    """`value` on stdout, for programs: one object, keys as the protocol names them."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


json_option = click.option("--json", "as_json", is_flag=True, help="For programs: as JSON.")
