"""Who is examined in these tests, and by which programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cosyd.cli.doctor.finding import Finding, Patient, Ran
from cosyd.config import Config

PACKS = Path(__file__).parents[2] / "voicepacks"
GONE = Ran(None, "")

Run = Callable[[Sequence[str], float], Ran]


def answers(*told: Ran) -> Run:
    """Programs that say these things, one after another."""
    left = iter(told)
    return lambda _arguments, _seconds: next(left)


def nothing(_name: str) -> None:
    """A PATH without anything."""


def patient(tmp_path: Path, **more: Any) -> Patient:
    names = {"config", "env", "platform", "which", "run"}
    fields = {key: more.pop(key) for key in list(more) if key in names}
    config = {
        "data_dir": str(tmp_path / "data"),
        "socket": str(tmp_path / "cosyd" / "s"),
        "log_file": str(tmp_path / "log"),
        "voicepacks": (str(PACKS),),
        "voice": "tone",
        "voice_zh": "tone",
        **more,
    }
    base = {"config": Config(**config), "env": {}, "platform": "linux", "which": nothing}
    return Patient(**{**base, **fields})


def levels(found: Iterator[Finding] | list[Finding]) -> list[str]:
    return [each.level for each in found]


def only(found: Any) -> Finding:
    (one,) = list(found)
    assert isinstance(one, Finding)
    return one
