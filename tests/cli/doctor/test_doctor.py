"""`cosy doctor` as a whole: every check runs, whatever the others do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from cosyd.cli.doctor import command
from cosyd.cli.doctor.finding import Check, Finding, Patient
from cosyd.engines import registry
from tests.cli.doctor.patients import GONE, only, patient


def test_whatever_is_not_well_says_what_to_do(tmp_path: Path) -> None:
    strange = patient(tmp_path, voice="nobody", run=lambda _arguments, _seconds: GONE)
    for name, found in command.examine(strange):
        for each in found:
            assert "\n" not in each.what
            assert bool(each.do) == (each.level != "ok"), (name, each)


def test_a_check_that_breaks_or_hangs_costs_only_its_own_lines(tmp_path: Path) -> None:
    def breaks(_patient: Patient) -> list[Finding]:
        raise RuntimeError("oh")

    def hangs(_patient: Patient) -> list[Finding]:
        time.sleep(0.5)
        return []

    def works(_patient: Patient) -> list[Finding]:
        return [Finding("ok", "fine")]

    checks: dict[str, Check] = {"breaks": breaks, "hangs": hangs, "works": works}
    found = dict(command.examine(patient(tmp_path), checks, seconds=0.1))
    assert "RuntimeError: oh" in only(found["breaks"]).what
    assert "took longer" in only(found["hangs"]).what
    assert only(found["works"]).what == "fine"


def test_every_engine_of_the_table_is_known() -> None:
    assert {"kokoro", "tone", "cosyvoice2"} <= set(registry.names())


def test_the_command_with_all_well(fresh: Any) -> None:
    done = fresh("doctor", env={"COSYD_LOG_LEVEL": "info"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert "✓ python: Python 3" in done.stdout.decode()
    assert not fresh.home.joinpath("s").exists(), "it must start no daemon"


def test_the_command_with_something_wrong(fresh: Any) -> None:
    done = fresh("doctor", "--json", env={"COSYD_VOICE": "nobody"})
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert any(each["level"] == "bad" and "nobody" in each["what"] for each in found)
    plain = fresh("doctor", env={"COSYD_VOICE": "nobody", "PYTHONIOENCODING": "ascii"})
    assert b"\nX  voices: there is no voice 'nobody'" in plain.stdout


def test_settings_that_are_broken_stop_no_other_check(fresh: Any) -> None:
    done = fresh("doctor", env={"COSYD_KEEP_ALIVE": "soon"})
    assert done.returncode == 1
    assert "✗ settings: " in done.stdout.decode() and "disk: " in done.stdout.decode()
