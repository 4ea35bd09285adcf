"""The self-check says what is over its tolerance, what is missing, and fails for either."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosyd.engines.cosyvoice2 import check, layout
from cosyd.engines.cosyvoice2.check import Verdict, compare, report, table
from cosyd.engines.cosyvoice2.tensors import Row
from cosyd.errors import ModelLoadFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
GOOD = Row("lm", "llm.npz:logits", 1e-6, 1e-4)
EXACT = Row("lm", "llm.npz:tokens", 0.0, 0.0)
OVER = Row("wave", "hift.npz:wave", 2e-5, 1e-5)
RECORDED = (("llm.npz",), ("hift.npz",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which all files are, empty."""
    for file in (*layout.SPEAKING, "llm.npz", "hift.npz"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def run(folder: Path, *rows: Row) -> Verdict:
    return compare(folder, checks={"all": lambda _: rows}, recorded=RECORDED)


def test_all_good(folder: Path) -> None:
    verdict = run(folder, GOOD, EXACT, OVER._replace(error=1e-5))
    assert verdict.good
    assert list(report(verdict))[-1] == (
        "3 arrays compared, 0 over their tolerance, 0 problems: good"
    )


@pytest.mark.parametrize("error", [1.1e-5, 1.0, math.inf, math.nan])
def test_one_over_its_tolerance(folder: Path, error: float) -> None:
    verdict = run(folder, GOOD, OVER._replace(error=error))
    assert not verdict.good
    lines = list(report(verdict))
    assert any(line.startswith("wave") and line.endswith("wave  OVER") for line in lines)
    assert any(line.startswith("over: wave hift.npz:wave: ") for line in lines)
    assert lines[-1].endswith("NOT good")


@pytest.mark.parametrize("file", [*layout.SPEAKING, "hift.npz"])
def test_a_missing_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    rows = [GOOD] if file == "hift.npz" else [GOOD, OVER._replace(error=0)]
    verdict = run(folder, *rows)
    assert verdict.problems == [f"{file}: missing"]
    assert not verdict.good


def test_a_file_that_was_passed_over(folder: Path) -> None:
    assert run(folder, GOOD).problems == ["hift.npz: nothing of it was compared"]


def test_one_of_several_files_is_enough(folder: Path) -> None:
    verdict = compare(folder, checks={"all": lambda _: [GOOD]}, recorded=[("x.json", "llm.npz")])
    assert verdict.good


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ModelLoadFailed("llm.pt: truncated"), "broken: llm.pt: truncated"),
        (KeyError("logits"), "broken: KeyError: 'logits'"),
        (RuntimeError("sizes"), "broken: RuntimeError: sizes"),
    ],
)
def test_a_check_that_fails_stops_no_other(folder: Path, error: Exception, problem: str) -> None:
    def broken(_: Path) -> Iterator[Row]:
        yield GOOD
        raise error

    checks = {"broken": broken, "whole": lambda _: [OVER]}
    verdict = compare(folder, checks=checks, recorded=RECORDED)
    assert verdict.problems == [problem]
    assert OVER in verdict.rows
    assert not verdict.good


def test_the_table_shows_the_worst_of_each_file() -> None:
    near = Row("lm", "llm.npz:hidden", 0.5, 1.0)
    lines = table([GOOD, near, EXACT, OVER, Row("lm", "ras.npz:x", 3.0, 0.0)])
    assert [(line.stage, line.file, line.arrays) for line in lines] == [
        ("lm", "llm.npz", 3),
        ("wave", "hift.npz", 1),
        ("lm", "ras.npz", 1),
    ]
    assert lines[0].worst == near
    assert table([OVER, OVER._replace(error=math.nan)])[0].worst.error != OVER.error
    assert table([near, EXACT._replace(error=1.0)])[0].worst.error == 1.0


def test_every_prints_a_line_for_each_array(folder: Path) -> None:
    verdict = run(folder, GOOD, EXACT, OVER)
    assert len(list(report(verdict, every=True))) == len(list(report(verdict))) + 1


def test_the_command_fails_without_a_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "problem: llm.pt: missing" in out
    assert out.endswith("NOT good\n")


def test_the_command_over_recorded_arrays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One file of them: all are compared, part by part, in the parts' own tests.
    for file in (*layout.SPEAKING, "ras.npz"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(GOLDEN / file, tmp_path / file)
    arguments = [str(tmp_path), "--threads", "1"]
    assert check.main(arguments) == 1  # the others are missing
    out = capsys.readouterr().out
    assert "ras.npz" in out
    assert "problem: hift.npz: missing" in out
    assert "over:" not in out


def test_what_is_asked_for_is_what_was_recorded() -> None:
    for files in check.RECORDED:
        assert any((GOLDEN / file).is_file() for file in files)
    arrays = {path.name for path in GOLDEN.glob("*.npz")}
    assert arrays == {file for files in check.RECORDED for file in files if file.endswith(".npz")}
