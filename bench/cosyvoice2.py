"""`python -m bench.cosyvoice2`: CosyVoice 2, ours and the original's, on this processor.

python -m bench.cosyvoice2                  both, then each optimisation left out; half an hour
python -m bench.cosyvoice2 --only SECTION   side-by-side or left-out
python -m bench.cosyvoice2 --quick          side by side, one round
python -m bench.cosyvoice2 --write-docs     what was measured also goes into docs/benchmarks.md

Same random weights (written to a temporary folder, 2.6 GB, and deleted), same prompt of 3 s, 250
speech tokens forced on both, each in a process of its own. Speech does not come of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import without
from bench.cosyvoice2_ours import WAITING
from bench.figures import Comparison, Figure, Findings
from bench.home import ROOT
from bench.machine import BUSY_LOAD, Machine, this_machine
from bench.report import markdown_table, number, replace_block, tables, text_table
from bench.store import DOCS, result_file, write_json
from bench.venvs import CannotInstall, environment
from cosyd.engines.cosyvoice2 import random_release

VENV: Final = ".venv-original"
ORIGINAL: Final = ("cosyvoice-minicpmo==0.1.0",)
"""Without what it asks for: most of that is for training."""
BESIDE: Final = (
    *("transformers==4.51.3", "diffusers==0.29.0", "einops==0.8.2", "omegaconf==2.4.0"),
    "scipy==1.17.1",
)
OURS, THEIRS = "cosyd", "original"
SECTION: Final = "CosyVoice 2"
SIDE_BY_SIDE, LEFT_OUT_ALONE = "side-by-side", "left-out"


class Variant(NamedTuple):
    """Ours with something left out."""

    name: str
    arguments: tuple[str, ...] = ()


EVERYTHING: Final = Variant("nothing: everything is on")
LEFT_OUT: Final = (
    EVERYTHING,
    Variant("int8 language model: bfloat16 instead", ("--precision", "bf16")),
    Variant("int8 and bfloat16: float32 instead", ("--precision", "fp32")),
    Variant("bfloat16 flow: float32 instead", ("--precision", "int8")),
    # Only where keys and values are kept are they made with the queries.
    Variant(
        f"bfloat16 flow, and {without.FUSED}: float32 instead, one by one",
        ("--precision", "int8", "--off", without.FUSED),
    ),
    *(
        Variant(name, ("--off", name))
        for name in (
            without.PROMPT,
            without.CACHES,
            without.HOP,
            without.ATTENTION,
            without.KEYS,
            without.MAPPED,
            WAITING,
        )
    ),
)


class Failed(RuntimeError):
    """A process of the benchmark ended without telling anything."""


def original() -> Path:
    """The interpreter that has the original; torch and numpy are those of this one."""
    return environment(VENV, BESIDE, alone=ORIGINAL, ours_too=True)


def run(python: Path, script: str, *arguments: str) -> dict[str, Any]:
    """What a process told; see `forced.Sample`."""
    command = [str(python), str(ROOT / "bench" / script), *arguments]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # threads wait alike in both
    if WAITING in arguments:
        env = {name: value for name, value in env.items() if not name.startswith(("OMP", "GOMP"))}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise Failed(f"{script}: {(done.stderr.strip().splitlines() or ['no reason told'])[-1]}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def both(release: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Two utterances of each in a fresh process, in turns."""
    found: dict[str, list[dict[str, Any]]] = {OURS: [], THEIRS: []}
    python, ours = original(), Path(sys.executable)
    for turn in range(rounds):
        for name, told in ((OURS, ours), (THEIRS, python)):
            print(f"{name}, {turn + 1} of {rounds} …", file=sys.stderr, flush=True)
            script = "cosyvoice2_ours.py" if name == OURS else "cosyvoice2_original.py"
            found[name].append(run(told, script, str(release), "2"))
    return found


def measures(samples: Sequence[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """(measure, unit) → its median over the rounds."""

    def middle(*path: str | int) -> float:
        values = []
        for sample in samples:
            value: Any = sample
            for key in path:
                value = value[key]
            values.append(float(value))
        return statistics.median(values)

    audio = middle("requests", 0, "audio_s")
    return {
        ("first audio, known voice", "s"): middle("requests", 0, "first_s"),
        ("first audio, processor time", "s"): middle("requests", 0, "first_cpu_s"),
        ("first audio, second request", "s"): middle("requests", 1, "first_s"),
        ("making a voice's state, once", "s"): middle("voice_s"),
        ("RTF, streaming", ""): middle("requests", 0, "total_s") / audio,
        ("RTF, second request", ""): middle("requests", 1, "total_s") / audio,
        ("processor time per second of audio", "s"): middle("requests", 0, "cpu_s") / audio,
        ("imports", "s"): middle("imports_s"),
        ("load", "s"): middle("load_s"),
        ("memory when loaded (RSS)", "MB"): middle("loaded_mb"),
        ("peak memory, two utterances", "MB"): middle("peak_mb"),
    }


TARGETS: Final = (
    ("first audio, known voice", "s", 1 / 4),
    ("RTF, streaming", "", 1 / 3),
    ("peak memory, two utterances", "MB", 0.6),
    ("load", "s", 1 / 2),
)


def compared(found: dict[str, list[dict[str, Any]]]) -> Findings:
    """Tables of both, and the ratios that have a target."""
    values = {name: measures(samples) for name, samples in found.items()}
    ours, theirs = values[OURS], values[THEIRS]
    figures = [
        Figure(
            SECTION, f"{name}, of the original's", ours[name, unit] / theirs[name, unit], "", most
        )
        for name, unit, most in TARGETS
    ]
    figures.append(_second(found[OURS]))
    comparisons = [
        Comparison(name, unit, {OURS: ours[name, unit], THEIRS: theirs[name, unit]})
        for name, unit in ours
    ]
    return Findings(figures, comparisons)


def _second(samples: Sequence[dict[str, Any]]) -> Figure:
    """The second request's first audio over the first's, of the same process."""
    each = sorted(s["requests"][1]["first_s"] / s["requests"][0]["first_s"] for s in samples)
    name, note = "first audio, second request, of the first's", f"{each[0]:.2f} to {each[-1]:.2f}"
    return Figure(SECTION, name, statistics.median(each), "", 1.0, note)


def optimisations(release: Path) -> dict[str, dict[str, Any]]:
    """What each variant told, one utterance each; one that fails is told on stderr alone."""
    found = {}
    for variant in LEFT_OUT:
        print(f"without {variant.name} …", file=sys.stderr, flush=True)
        arguments = (str(release), *variant.arguments, "1")
        try:
            found[variant.name] = run(Path(sys.executable), "cosyvoice2_ours.py", *arguments)
        except Failed as error:
            print(error, file=sys.stderr)
    return found


HEADER: Final = ("left out", "first audio", "RTF", "processor time per s", "peak memory", "load")


def optimisation_rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Cells of each variant."""
    rows = []
    for name, told in found.items():
        [request] = told["requests"]
        cells = (
            number(request["first_s"], "s"),
            number(request["total_s"] / request["audio_s"], ""),
            number(request["cpu_s"] / request["audio_s"], "s"),
            number(told["peak_mb"], "MB"),
            number(told["load_s"], "s"),
        )
        rows.append([name, *cells])
    return rows


class Measured(NamedTuple):
    """What one run found out; a section that was not asked for is empty."""

    findings: Findings
    rounds: dict[str, list[dict[str, Any]]]
    """What each process of both sides told."""
    variants: dict[str, dict[str, Any]]

    def blocks(self, machine: Machine, load_after: float) -> dict[str, str]:
        """For the page: name → text."""
        head = f"On {machine.line()}, {load_after:.2f} after it. No GPU was at hand."
        found = {}
        if self.rounds or self.findings.skipped:
            told = f"{head} Medians of {max(map(len, self.rounds.values()), default=0)} processes."
            found["cosyvoice2"] = f"{told}\n\n{tables(self.findings, markdown=True)}"
        if self.variants:
            table = markdown_table(HEADER, optimisation_rows(self.variants))
            found["cosyvoice2-left-out"] = f"{head}\n\n{table}"
        return found


def measure(asked: argparse.Namespace, release: Path) -> Measured:
    """Both sides and the variants, of the release in this folder."""
    run(Path(sys.executable), "cosyvoice2_ours.py", str(release), "0")  # converts the checkpoints
    findings, rounds = Findings(), dict[str, list[dict[str, Any]]]()
    if asked.only != LEFT_OUT_ALONE:
        try:
            rounds = both(release, 1 if asked.quick else asked.rounds)
            findings = compared(rounds)
        except CannotInstall as error:
            findings = Findings(skipped={THEIRS: str(error)})
    return Measured(findings, rounds, {} if asked.only == SIDE_BY_SIDE else optimisations(release))


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="bench.cosyvoice2", description=summary)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--only", choices=(SIDE_BY_SIDE, LEFT_OUT_ALONE), help="one section")
    either.add_argument("--quick", action="store_true", help="side by side, one round")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each (3)")
    parser.add_argument("--release", type=Path, metavar="DIR", help="a random release, if there")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into {DOCS}")
    asked = parser.parse_args(argv)
    asked.only = SIDE_BY_SIDE if asked.quick else asked.only
    return asked


def main(argv: list[str] | None = None) -> int:
    """Measure and tell. 0 whether or not targets were met: the tables say which were not."""
    asked, machine = _arguments(argv), this_machine()
    print(machine.line())
    if machine.load_before > BUSY_LOAD:
        print("The machine is busy: the figures will be too high.", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="cosyvoice2-") as folder:
        release = asked.release or Path(folder)
        if not asked.release:
            random_release.write(release)
        measured = measure(asked, release)
    load_after = os.getloadavg()[0]
    print(f"\n{tables(measured.findings, markdown=False)}\n")
    print(text_table(HEADER, optimisation_rows(measured.variants)))
    told = {"machine": machine.as_dict(), "load_after": load_after, "rounds": measured.rounds}
    told |= {"variants": measured.variants, **measured.findings.as_dict()}
    write_json(result_file("cosyvoice2", machine), told)
    if asked.write_docs:
        for name, block in measured.blocks(machine, load_after).items():
            DOCS.write_text(replace_block(DOCS.read_text(), name, block))
        print(f"Tables: {DOCS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
