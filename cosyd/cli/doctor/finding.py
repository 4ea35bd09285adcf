"""What checks find, and what they may look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cosyd.config import Config

Level = Literal["ok", "warn", "bad"]
"""`warn`: something works less well or not everywhere; `bad`: something does not work."""

RUN_S = 10.0
"""How long another program may take."""


class Finding(NamedTuple):
    """One line of the report."""

    level: Level
    what: str
    do: str = ""
    """What a person should do about it; "" only if all is well."""


class Ran(NamedTuple):
    """How another program ended."""

    code: int | None
    """None: it took too long or could not be started."""
    out: str


def run(arguments: Sequence[str], seconds: float = RUN_S) -> Ran:
    """Run a program without input, for a limited time. Its stderr is dropped."""
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Ran(None, "")
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Patient:
    """What is examined. Tests hand in other programs and other surroundings."""

    config: Config
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    platform: str = sys.platform
    which: Callable[[str], str | None] = shutil.which
    run: Callable[[Sequence[str], float], Ran] = run

    def python(self, code: str, seconds: float) -> Ran:
        """Run `code` in another process of this interpreter, for what may hang or is heavy."""
        return self.run([sys.executable, "-P", "-c", code], seconds)


Check = Callable[[Patient], Iterable[Finding]]
