"""The tools as programs: a quick run with the tone engine, and their pure parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import quality, speed
from bench.effort import Effort
from bench.figures import Findings
from bench.home import home
from bench.sentences import Sentence
from bench.wire import Link


@pytest.fixture
def linux_only() -> None:
    if sys.platform != "linux":
        pytest.skip("looks into /proc for what is left")


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert speed.main(["--quick", "--only", "overhead", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert figures["tone, 48 kHz, p50"]["limit"] == 5.0
    assert all(figure["value"] > 0 for figure in figures.values())
    assert found["quick"] is True and found["machine"]["cores"] >= 1
    told = capsys.readouterr()
    assert "tone, 48 kHz, p50" in told.out and "[1/1] overhead" in told.err


def test_unknown_sections_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--only", "nonsense"], ["--only", "overhead", "--write-docs"]):
        with pytest.raises(SystemExit):
            speed.main(arguments)
    assert "choose out of overhead" in capsys.readouterr().err


def test_a_section_that_fails_costs_the_others_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_effort: Effort) -> Findings:
        raise RuntimeError("the engine hung")

    monkeypatch.setitem(speed.SECTIONS, "pipe", failing)
    file = tmp_path / "found.json"
    assert speed.main(["--quick", "--only", "pipe,overhead", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["skipped"] == {"pipe": "the engine hung"} and found["figures"]
    assert "Not measured: pipe: the engine hung" in capsys.readouterr().out


@pytest.mark.usefixtures("linux_only")
def test_nothing_of_a_home_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSYD_VOICE", "somebody's own")
    with home() as found:
        with found.connect() as client:
            pid = client.hello.pid
            assert client.status()["socket"] == found.socket
        link = Link(found.socket)
        assert link.call("ping", "pong", nonce=7)["nonce"] == 7
        link.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(found.socket).exists()


def test_languages_are_judged_apart() -> None:
    english = Sentence("v", "en", "It is 7:30.", "it is seven thirty")
    chinese = Sentence("v", "zh", "3点半", "三点半")
    heard = [quality.judge(english, "It is 7.30"), quality.judge(chinese, "三点办")]
    rates = quality.rates(heard)
    assert (rates["en"].rate, rates["zh"].rate) == (0.0, 1 / 3)
    lines = quality.summary(heard)
    assert "0.0%" in lines[0] and "met" in lines[0]
    assert "33.3%" in lines[1] and "MISSED" in lines[1]
