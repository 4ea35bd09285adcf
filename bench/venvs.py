"""Virtual environments for what is measured with, or against, and must stay out of our own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.home import ROOT

_STAMP: Final = "requirements.txt"


class CannotInstall(RuntimeError):
    """The environment could not be made; the message is one line."""


def environment(
    name: str, requirements: Sequence[str], *, alone: Sequence[str] = (), ours_too: bool = False
) -> Path:
    """The interpreter of `ROOT/name` with exactly these requirements, made if need be.

    Args:
        name: of the folder.
        requirements: for pip.
        alone: further ones, without what they require themselves.
        ours_too: it also sees the packages of this interpreter, behind its own.

    Raises:
        CannotInstall: with pip's reason.
    """
    folder = ROOT / name
    stamp = folder / _STAMP
    wanted = "\n".join([*requirements, *alone]) + "\n"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
        print(
            f"Installing {', '.join([*requirements, *alone])} into {name} (once) …", file=sys.stderr
        )
        _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *requirements])
        if alone:
            _run([*pip, "--disable-pip-version-check", "--no-deps", *alone])
        if ours_too:
            _see_ours(python)
        stamp.write_text(wanted)
    return python


def _see_ours(python: Path) -> None:
    """Name our packages' folder in a file that Python reads at its start."""
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    theirs = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    (Path(theirs) / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        why = errors[-1].strip() if errors else f"exit status {done.returncode}"
        raise CannotInstall(f"{' '.join(command[1:4])}: {why}")
