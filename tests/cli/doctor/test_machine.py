"""Packages, GPU and disk: what is well and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosyd.cli.doctor import machine
from cosyd.cli.doctor.finding import Ran, run
from tests.cli.doctor.patients import GONE, answers, levels, only, patient


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "yaml" else object())
    bad = next(machine.packages(patient(tmp_path)))
    assert bad == ("bad", "missing: pyyaml", "pip install --force-reinstall cosyd")


def test_an_engine_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = lambda engine: ["torch"] if engine.name == "cosyvoice2" else []  # noqa: E731 - short
    monkeypatch.setattr(machine, "missing", without)
    found = [each for each in machine.packages(patient(tmp_path)) if "cosyvoice2" in each.what]
    assert only(found).level == "warn" and only(found).do == "pip install 'cosyd[cosyvoice2]'"


def test_no_engine_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "missing", lambda engine: list(engine.requires))
    assert levels(machine.packages(patient(tmp_path)))[-1] == "bad"


CARD = json.dumps(
    {"driver": "550.1", "cards": [{"name": "Card", "total": 24_000_000_000, "free": 1_000_000_000}]}
)


@pytest.fixture
def all_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _name: object())


@pytest.mark.usefixtures("all_packages")
@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ((Ran(0, CARD), Ran(0, "2.9 True"), Ran(0, "CUDAExecutionProvider")), ["ok", "ok", "ok"]),
        ((Ran(0, CARD), Ran(0, "2.9 False"), Ran(0, "CPU")), ["ok", "warn", "ok"]),
        ((Ran(1, ""), Ran(0, "2.9 False"), Ran(0, "CPU")), ["ok", "ok", "ok"]),
        ((GONE, Ran(1, ""), Ran(1, "")), ["bad", "bad", "bad"]),
        ((Ran(1, ""), GONE, Ran(0, "CPU")), ["ok", "warn", "ok"]),
    ],
    ids=["used", "torch without CUDA", "none", "driver hangs", "torch is slow"],
)
def test_the_gpu(tmp_path: Path, told: tuple[Ran, ...], expected: list[str]) -> None:
    assert levels(machine.gpu(patient(tmp_path, run=answers(*told)))) == expected


def test_a_driver_without_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _name: None)
    found = machine.gpu(patient(tmp_path, run=answers(Ran(1, "")), which=lambda _name: "/bin/x"))
    assert only(found).level == "warn"


def test_the_driver_is_asked_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda _name: None)
    assert levels(machine.gpu(patient(tmp_path, run=run)))


@pytest.mark.parametrize(
    ("free", "level"), [(10_000_000_000, "ok"), (100_000_000, "warn"), (1000, "bad")]
)
def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    assert only(machine.disk(patient(tmp_path))).level == level


def test_a_log_that_has_grown(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.truncate(machine.BIG_LOG_BYTES + 1)
    assert "truncate" in list(machine.disk(patient(tmp_path)))[-1].do
