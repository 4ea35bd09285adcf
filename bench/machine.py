"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from cosyd.version import VERSION

BUSY_LOAD = 1.5
"""A load average from which on figures say more about the machine's other users."""


class Machine(NamedTuple):
    """Hardware and software of one run."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    onnxruntime: str
    cosyd: str
    measured_at: str
    load_before: float

    def line(self) -> str:
        """All of it in a sentence."""
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB, {self.system}; "
            f"Python {self.python}, {self.onnxruntime}, cosyd {self.cosyd}; "
            f"{self.measured_at}, load {self.load_before:.2f} before the run"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict()


def this_machine() -> Machine:
    """The one we run on."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=pages * page_bytes / 2**30,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        onnxruntime=_onnxruntime(),
        cosyd=VERSION,
        measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        load_before=os.getloadavg()[0],
    )


def _cpu() -> str:
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _onnxruntime() -> str:
    for name in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "no onnxruntime"


def rss_bytes(pid: int) -> int:
    """Resident memory of a process. Raises `OSError` or `CalledProcessError` if it is gone."""
    status = Path(f"/proc/{pid}/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    asked = ["ps", "-o", "rss=", "-p", str(pid)]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout) * 1024
