"""Settings, socket, daemon and units: what is well and what is not."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cosyd.cli.doctor import daemon, service
from cosyd.cli.doctor.finding import Ran
from cosyd.cli.placing import signed
from cosyd.cli.units import File
from cosyd.rendezvous import listen_at, own_lock
from cosyd.version import VERSION
from tests.cli.doctor.patients import GONE, answers, levels, only, patient


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("voise = 'x'\n")
    env = {"COSYD_CONFIG": str(file)}
    found = only(daemon.configuration(patient(tmp_path, env=env)))
    assert found.level == "bad" and "voise" in found.what
    file.write_text("voice = 'x'\n")
    assert only(daemon.configuration(patient(tmp_path, env=env))).level == "ok"


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    found = only(daemon.place(patient(tmp_path, socket="/tmp/" + "x" * 120)))
    assert found.level == "bad" and "125 bytes" in found.what


def test_a_directory_that_is_made_when_needed(tmp_path: Path) -> None:
    assert only(daemon.place(patient(tmp_path))).level == "ok"


def test_a_directory_that_others_may_look_into(tmp_path: Path) -> None:
    (tmp_path / "cosyd").mkdir(mode=0o755)
    found = only(daemon.place(patient(tmp_path)))
    assert (found.level, found.do) == ("bad", f"chmod 700 {tmp_path / 'cosyd'}")


def test_a_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cosyd").mkdir(mode=0o700)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert "another user" in only(daemon.place(patient(tmp_path))).what


def test_something_else_at_the_sockets_place(tmp_path: Path) -> None:
    (tmp_path / "cosyd").mkdir(mode=0o700)
    (tmp_path / "cosyd" / "s").write_text("")
    assert levels(daemon.place(patient(tmp_path))) == ["ok", "bad"]


def test_a_socket_that_a_dead_daemon_left(tmp_path: Path) -> None:
    (tmp_path / "cosyd").mkdir(mode=0o700)
    path = str(tmp_path / "cosyd" / "s")
    listen_at(path).close()
    found = only(daemon.answers(patient(tmp_path)))
    assert found.level == "ok" and "replaced" in found.what


def test_a_daemon_that_listens_no_more(tmp_path: Path) -> None:
    (tmp_path / "cosyd").mkdir(mode=0o700)
    lock = own_lock(str(tmp_path / "cosyd" / "s"))
    assert lock is not None
    try:
        assert only(daemon.answers(patient(tmp_path))).level == "bad"
    finally:
        os.close(lock)


def test_a_daemon_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "ANSWER_S", 0.2)
    (tmp_path / "cosyd").mkdir(mode=0o700)
    with closing(listen_at(str(tmp_path / "cosyd" / "s"))):
        assert only(daemon.answers(patient(tmp_path))).level == "bad"


def test_a_daemon_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"version": "0.0.1", "uptime_s": 1.0, "pid": 1, "models": []}
    monkeypatch.setattr(daemon, "_somebody_listens", lambda _path: True)
    monkeypatch.setattr(daemon, "_status", lambda _path: status)
    found = only(daemon.answers(patient(tmp_path)))
    assert (found.level, found.do) == ("warn", "cosy daemon restart")


def test_models_that_were_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [{"model": "a", "restarts": 2}, {"model": "b", "restarts": 3, "fault": "b died"}]
    status = {"version": VERSION, "uptime_s": 1.0, "pid": 1, "models": lost}
    monkeypatch.setattr(daemon, "_somebody_listens", lambda _path: True)
    monkeypatch.setattr(daemon, "_status", lambda _path: status)
    assert levels(daemon.answers(patient(tmp_path))) == ["ok", "warn", "bad"]


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    units = tmp_path / "systemd" / "user"
    units.mkdir(parents=True)
    text = f'[Service]\nExecStart="{sys.executable}" -P -m cosyd.daemon\n'
    for name in ("cosyd.socket", "cosyd.service"):
        (units / name).write_text(signed(File(units / name, text)))
    return {"XDG_CONFIG_HOME": str(tmp_path), "USER": "me"}


@pytest.mark.parametrize(
    ("enabled", "active", "level"),
    [("enabled", "active", "ok"), ("disabled", "active", "warn"), ("enabled", "failed", "warn")],
)
def test_units(
    tmp_path: Path, installed: dict[str, str], enabled: str, active: str, level: str
) -> None:
    told = answers(Ran(0, f"{enabled}\n"), Ran(0, f"{active}\n"), Ran(0, "yes\n"))
    with_units = patient(tmp_path, env=installed, run=told, which=lambda name: f"/bin/{name}")
    assert levels(service.units(with_units)) == [level, "ok"]


def test_units_that_were_edited_or_point_nowhere(tmp_path: Path, installed: dict[str, str]) -> None:
    unit = tmp_path / "systemd" / "user" / "cosyd.service"
    unit.write_text(unit.read_text().replace(sys.executable, "/gone/python"))
    told = answers(Ran(0, "enabled"), Ran(0, "active"), GONE)
    which = lambda name: f"/bin/{name}"  # noqa: E731 - short
    found = list(service.units(patient(tmp_path, env=installed, run=told, which=which)))
    assert levels(found) == ["ok", "bad", "ok"]
    assert "edited" in found[0].what and "/gone/python" in found[1].what


def test_half_of_the_units(tmp_path: Path, installed: dict[str, str]) -> None:
    (tmp_path / "systemd" / "user" / "cosyd.socket").unlink()
    assert only(service.units(patient(tmp_path, env=installed))).do == "cosy install"


def test_no_units_are_no_fault(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert only(service.units(patient(tmp_path, env=env))).level == "ok"
