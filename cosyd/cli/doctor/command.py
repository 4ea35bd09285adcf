"""The command: runs all checks side by side and prints what they found, in the table's order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import click

from cosyd import config as settings
from cosyd.cli.doctor import daemon, machine, service, sound, voices
from cosyd.cli.doctor.finding import Check, Finding, Level, Patient
from cosyd.cli.failure import DONE, FAILED
from cosyd.cli.human import json_option, plural, show_json
from cosyd.config import Config, ConfigError
from cosyd.paths import config_file

CHECKS: Final[Mapping[str, Check]] = {
    "python": machine.python,
    "packages": machine.packages,
    "settings": daemon.configuration,
    "socket": daemon.place,
    "daemon": daemon.answers,
    "service": service.units,
    "voices": voices.voices,
    "models": voices.models,
    "gpu": machine.gpu,
    "sound": sound.devices,
    "sound server": sound.server,
    "disk": machine.disk,
}
"""Name → check, in the order of the report."""
SIDE_BY_SIDE: Final = 8
CHECK_S: Final = 60.0
"""How long a check may take; what it asks has shorter limits."""

_SIGNS: Final[Mapping[Level, str]] = {"ok": "✓", "warn": "!", "bad": "✗"}
_PLAIN_SIGNS: Final[Mapping[Level, str]] = {"ok": "ok", "warn": "! ", "bad": "X "}


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Check everything that speaking needs, and say what to do where something is wrong.

    Changes nothing and starts no daemon. Exit code 1 if something does not work.
    """
    found = [(name, each) for name, many in examine(_patient()) for each in many]
    if as_json:
        show_json({"findings": [{"check": name, **each._asdict()} for name, each in found]})
    else:
        click.echo("\n".join(report(found, _signs())))
    return FAILED if any(each.level == "bad" for _, each in found) else DONE


def _patient() -> Patient:
    try:
        return Patient(settings.load(os.environ, file=config_file(os.environ)))
    except ConfigError:  # a check of its own tells
        return Patient(Config())


def examine(
    patient: Patient, checks: Mapping[str, Check] = CHECKS, seconds: float = CHECK_S
) -> Iterator[tuple[str, list[Finding]]]:
    """What each check finds. One that breaks or takes too long costs only its own lines."""
    pool = ThreadPoolExecutor(SIDE_BY_SIDE)
    running = {name: pool.submit(_all, check, patient) for name, check in checks.items()}
    for name, future in running.items():
        yield name, _result(name, future, seconds)
    pool.shutdown(wait=False, cancel_futures=True)


def _all(check: Check, patient: Patient) -> list[Finding]:
    return list(check(patient))


def _result(name: str, future: Future[list[Finding]], seconds: float) -> list[Finding]:
    try:
        error = future.exception(seconds)
    except TimeoutError:
        return [Finding("warn", f"took longer than {seconds:.0f} s", "try again when it is idle")]
    if error is not None:
        told = f"the check itself failed: {type(error).__name__}: {error}"
        return [Finding("warn", told, f"please report this, with the word {name!r}")]
    return future.result()


def report(found: list[tuple[str, Finding]], signs: Mapping[Level, str]) -> Iterator[str]:
    """The lines for a person, and how many need care."""
    for name, each in found:
        line = f"{signs[each.level]} {name}: {' '.join(each.what.split())}"
        yield f"{line} — {each.do}" if each.do else line
    bad = sum(each.level == "bad" for _, each in found)
    warned = sum(each.level == "warn" for _, each in found)
    yield ""
    if bad:
        yield f"{plural(bad, 'thing')} to mend: what to do stands behind each {signs['bad']}."
    elif warned:
        yield f"It works; {plural(warned, 'remark')}."
    else:
        yield "All is well."


def _signs() -> Mapping[Level, str]:
    encoding: Any = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "".join(_SIGNS.values()).encode(encoding)
    except UnicodeEncodeError:
        return _PLAIN_SIGNS
    return _SIGNS
