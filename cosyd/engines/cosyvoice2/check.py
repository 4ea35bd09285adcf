"""Compare every stage with recorded arrays: `python -m cosyd.engines.cosyvoice2.check DIR`.

DIR holds a release (any sizes) and what the original made with it, array by array.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch

from cosyd.engines.cosyvoice2 import check_flow, check_lm, check_wave, layout
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.errors import CosydError

Check = Callable[[Path], Iterable[Row]]

CHECKS: Final[Mapping[str, Check]] = {
    "lm": check_lm.rows,
    "flow": check_flow.rows,
    "wave": check_wave.rows,
}

RECORDED: Final = (
    ("tokenizer_cases_tiny.json", "tokenizer_cases_fullvocab.json"),
    ("text_cases.json",),
    ("llm.npz",),
    ("llm_bistream.npz",),
    ("ras.npz",),
    ("config.json",),
    ("flow_encoder.npz",),
    ("estimator.npz",),
    ("cfm.npz",),
    ("hift.npz",),
    ("fade.npz",),
    ("frontend.npz",),
    ("t2w_nonstream.npz",),
    ("t2w_nonstream_speed1p25.npz",),
    ("t2w_stream_growhop.npz",),
    ("t2w_stream_hop25.npz",),
    ("e2e_stream.npz",),
)
"""What must have been compared; of several in one entry, one is enough."""


class Line(NamedTuple):
    """A line of the table: the worst of one stage's arrays in one file."""

    stage: str
    file: str
    arrays: int
    worst: Row


class Verdict(NamedTuple):
    """What came of the comparison."""

    rows: list[Row]
    problems: list[str]
    """What is missing or could not be run, a line each; empty: everything was compared."""

    @property
    def good(self) -> bool:
        """Whether everything was compared and nothing is over its tolerance."""
        return not self.problems and all(row.good for row in self.rows)


def compare(
    folder: Path,
    *,
    checks: Mapping[str, Check] = CHECKS,
    recorded: Iterable[Sequence[str]] = RECORDED,
) -> Verdict:
    """Run all checks over a folder; one that fails keeps none of the others from running.

    Args:
        folder: a release with recorded arrays.
        checks: by name, what gives rows.
        recorded: the files of which at least one array must be compared.
    """
    rows: list[Row] = []
    problems = [f"{file}: missing" for file in layout.missing(folder)]
    for name, check in checks.items():
        try:
            rows.extend(check(folder))
        except CosydError as error:
            problems.append(f"{name}: {error.message}")
        except (
            OSError,
            LookupError,
            ValueError,
            RuntimeError,
        ) as error:  # what broken arrays raise
            problems.append(f"{name}: {type(error).__name__}: {error}")
    compared = {_file(row) for row in rows}
    for files in recorded:
        if compared.isdisjoint(files):
            there = any((folder / file).exists() for file in files)
            problems.append(f"{files[0]}: {'nothing of it was compared' if there else 'missing'}")
    return Verdict(rows, problems)


def table(rows: Iterable[Row]) -> list[Line]:
    """One line for each stage and file, in the order of the rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.stage, _file(row)), []).append(row)
    return [
        Line(stage, file, len(group), max(group, key=_badness))
        for (stage, file), group in groups.items()
    ]


def _file(row: Row) -> str:
    return row.array.partition(":")[0]


def _badness(row: Row) -> tuple[bool, float, float]:
    """Orders rows by how near they are to their tolerance, or how far over it (NaN furthest)."""
    over = row.error / row.tolerance if row.tolerance else 0.0
    return not row.good, over if over == over else float("inf"), row.error


def report(verdict: Verdict, *, every: bool = False) -> Iterator[str]:
    """The lines to print.

    Args:
        verdict: what came out.
        every: a line for every array, not for every file.
    """
    yield f"{'stage':<14}{'file':<32}{'arrays':>6}  {'max error':>9} {'tolerance':>9}  worst"
    lines = table(verdict.rows)
    if every:
        lines = [Line(row.stage, _file(row), 1, row) for row in verdict.rows]
    for line in lines:
        row = line.worst
        numbers = f"{line.arrays:>6}  {row.error:>9.2g} {row.tolerance:>9.2g}"
        name = row.array.partition(":")[2]
        yield f"{line.stage:<14}{line.file:<32}{numbers}  {name}{'' if row.good else '  OVER'}"
    over = [row for row in verdict.rows if not row.good]
    yield from (f"over: {row.stage} {row.array}: {row.error:.3g}" for row in over)
    yield from (f"problem: {problem}" for problem in verdict.problems)
    count = f"{len(verdict.rows)} arrays compared, {len(over)} over their tolerance"
    yield f"{count}, {len(verdict.problems)} problems: {'good' if verdict.good else 'NOT good'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print. Returns 0 if all is good, 1 if anything is over or missing."""
    parser = argparse.ArgumentParser(
        prog="python -m cosyd.engines.cosyvoice2.check",
        description="Compare every stage of CosyVoice 2 with the original's recorded arrays.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", action="store_true", help="a line for every array")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    verdict = compare(options.folder)
    for line in report(verdict, every=options.every):
        print(line)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
