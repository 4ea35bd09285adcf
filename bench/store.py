"""Where findings go: JSON files that are not kept in the repository, and one page that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from bench.home import ROOT
from bench.machine import Machine

DOCS: Final = ROOT / "docs" / "benchmarks.md"
RESULTS: Final = ROOT / "bench" / "results"


def result_file(kind: str, machine: Machine) -> Path:
    """Where this run's JSON goes by default."""
    stamp = machine.measured_at.replace(" UTC", "").replace(" ", "-").replace(":", "")
    return RESULTS / f"{kind}-{stamp}.json"


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write it and say where it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"JSON: {file}")
