"""What findings look like: tables for the terminal and for Markdown, and a page's marked block."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bench.figures import Comparison, Figure, Findings

Rows = Sequence[Sequence[str]]
OURS = "cosyd"
"""The system that the others' ratios are made against."""


def number(value: float, unit: str) -> str:
    """A value with as many digits as make sense, and its unit.

    >>> number(0.1234, "ms"), number(12.34, "ms"), number(1234.5, "ms"), number(3, "modules")
    ('0.12 ms', '12.3 ms', '1,234 ms', '3 modules')
    """
    digits = 0 if unit in ("modules",) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def width(text: str) -> int:
    """Columns it takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def text_table(header: Sequence[str], rows: Rows) -> str:
    """Aligned columns for a terminal."""
    lines = [header, *rows]
    widths = [max(width(line[column]) for line in lines) for column in range(len(header))]
    ruler = ["─" * size for size in widths]
    return "\n".join(
        "  ".join(
            cell + " " * (size - width(cell)) for cell, size in zip(line, widths, strict=True)
        ).rstrip()
        for line in [header, ruler, *rows]
    )


def markdown_table(header: Sequence[str], rows: Rows) -> str:
    """The same as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


FIGURE_HEADER = ("section", "figure", "measured", "target", "", "")


def figure_row(figure: Figure) -> list[str]:
    """Cells of a figure."""
    limit = "" if figure.limit is None else f"≤ {number(figure.limit, figure.unit)}"
    verdict = figure.verdict.upper() if figure.verdict == "missed" else figure.verdict
    measured = number(figure.value, figure.unit)
    return [figure.section, figure.name, measured, limit, verdict, figure.note]


def systems(comparisons: Sequence[Comparison]) -> list[str]:
    """All systems compared, in the order of their first mention."""
    return list(dict.fromkeys(name for each in comparisons for name in each.values))


def comparison_row(comparison: Comparison, names: Sequence[str]) -> list[str]:
    """Cells of a comparison; behind each other system's value its ratio to ours."""
    ours = comparison.values.get(OURS)
    cells = [comparison.name]
    for name in names:
        value = comparison.values.get(name)
        if value is None:
            cells.append("–")
        else:
            ratio = "" if name == OURS else _ratio(value, ours)
            cells.append(number(value, comparison.unit) + ratio)
    return cells


def _ratio(value: float, ours: float | None) -> str:
    if not ours:
        return ""
    times = value / ours
    return f" ({times:,.0f}×)" if times >= 100 else f" ({times:.2g}×)"


def tables(findings: Findings, *, markdown: bool) -> str:
    """All findings."""
    table = markdown_table if markdown else text_table
    parts = []
    if findings.figures:
        parts.append(table(FIGURE_HEADER, [figure_row(figure) for figure in findings.figures]))
    if findings.comparisons:
        names = systems(findings.comparisons)
        rows = [comparison_row(each, names) for each in findings.comparisons]
        parts.append(table(["side by side", *names], rows))
    parts += [f"Not measured: {what}: {why}" for what, why in findings.skipped.items()]
    return "\n\n".join(parts)


def replace_block(page: str, name: str, block: str) -> str:
    """`page` with what stands between `<!-- name:begin -->` and `<!-- name:end -->` replaced.

    Raises:
        ValueError: the page has no such block.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"the page has no block {begin} … {end}")
    return f"{before}{begin}\n{block}\n{end}{after}"
