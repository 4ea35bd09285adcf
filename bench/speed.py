"""`python -m bench.speed`: measure how fast cosyd is; print a table and write JSON.

python -m bench.speed                          everything, some minutes
python -m bench.speed --quick                  the shape, in a minute or two
python -m bench.speed --only overhead,memory   some sections
python -m bench.speed --write-docs             everything, and into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from bench import cold, control, memory, overhead, pipe, side_by_side
from bench.effort import Effort
from bench.figures import Findings
from bench.home import kokoro_missing
from bench.machine import BUSY_LOAD, Machine, this_machine
from bench.report import replace_block, tables
from bench.store import DOCS, result_file, write_json
from cosyd.errors import CosydError

Section = Callable[[Effort], Findings]


def _with_kokoro(name: str, section: Section, effort: Effort) -> Findings:
    why = kokoro_missing()
    return Findings(skipped={name: why}) if why else section(effort)


SECTIONS: Final[dict[str, Section]] = {
    "overhead": overhead.measure_tone,
    "overhead-kokoro": partial(_with_kokoro, "overhead-kokoro", overhead.measure_kokoro),
    "pipe": pipe.measure,
    "control": partial(_with_kokoro, "control", control.measure),
    "memory": memory.measure,
    "cold": partial(_with_kokoro, "cold", cold.measure),
    "peers": side_by_side.measure,
}


def _sections(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"no {name!r}: choose out of {', '.join(SECTIONS)}")
    return names


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.speed", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions: only the shape")
    parser.add_argument("--only", type=_sections, metavar="SECTION,…", help=", ".join(SECTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the findings")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into {DOCS}")
    args = parser.parse_args(argv)
    if args.write_docs and args.only:
        parser.error("--write-docs needs all sections: leave --only out")
    return args


def run(names: list[str], effort: Effort) -> Findings:
    """Measure these sections; tells on stderr which is running."""
    findings = Findings()
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} …", file=sys.stderr, flush=True)
        findings.extend(attempt(name, effort))
    return findings


def attempt(name: str, effort: Effort) -> Findings:
    """One section's findings; what fails is told, and costs the others nothing."""
    try:
        return SECTIONS[name](effort)
    except (RuntimeError, OSError, CosydError, subprocess.CalledProcessError) as error:
        return Findings(skipped={name: str(error)})


def document(findings: Findings, machine: Machine, effort: Effort, load_after: float) -> str:
    """The block for the page."""
    kind = "A quick run" if effort.quick else "A full run"
    head = f"{kind} on {machine.line()}, {load_after:.2f} after it."
    return f"{head}\n\n{tables(findings, markdown=True)}"


def main(argv: list[str] | None = None) -> int:
    """Measure and tell. 0 whether or not targets were met: the tables say which were not."""
    args = _arguments(argv)
    effort, machine = Effort(args.quick), this_machine()
    print(machine.line())
    if machine.load_before > BUSY_LOAD:
        print("The machine is busy: the figures will be too high.", file=sys.stderr)
    findings = run(args.only or list(SECTIONS), effort)
    load_after = os.getloadavg()[0]
    print(f"\n{tables(findings, markdown=False)}\n")
    print(f"{len(findings.missed)} of the figures with a target missed it.")
    told = {"machine": machine.as_dict(), "load_after": load_after, "quick": effort.quick}
    file = args.json or result_file("speed", machine)
    write_json(file, {**told, **findings.as_dict()})
    if args.write_docs:
        block = document(findings, machine, effort, load_after)
        DOCS.write_text(replace_block(DOCS.read_text(), "speed", block))
        print(f"Tables: {DOCS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
