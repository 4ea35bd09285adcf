"""The units as shipped and as written: systemd's own judgement, and launchd's lint."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosyd.cli import placing, units
from cosyd.cli.failure import Failure
from cosyd.cli.units import Place
from cosyd.config import Config

CONTRIB = Path(__file__).parents[2] / "contrib"
PLACE = Place(sys.executable, "/run/user/1000/cosyd/cosyd.sock", "/run/user/1000", "/tmp/log")
EXPOSURE_MAX = 65
"""Of 100, as systemd-analyze counts; what a user's service could close and we do not is named,
with its reason, in the unit."""

analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd"
)


def written(folder: Path, place: Place = PLACE) -> list[Path]:
    files = units.systemd_files(place, folder)
    for file in files:
        file.path.write_text(placing.signed(file), encoding="utf-8")
    return [file.path for file in files]


def verify(paths: list[Path], runtime: Path) -> subprocess.CompletedProcess[str]:
    runtime.chmod(0o700)
    return subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *map(str, paths)],
        env={"XDG_RUNTIME_DIR": str(runtime), "HOME": str(runtime), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@analyze
def test_systemd_finds_no_fault_in_what_is_written(tmp_path: Path) -> None:
    done = verify(written(tmp_path), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@analyze
def test_the_check_would_find_one(tmp_path: Path) -> None:
    paths = written(tmp_path)
    paths[1].write_text(paths[1].read_text().replace("WatchdogSec=", "WatchdagSec="))
    assert "WatchdagSec" in verify(paths, tmp_path).stderr


@analyze
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the shipped units name it")
def test_systemd_finds_no_fault_in_what_is_shipped(tmp_path: Path) -> None:
    shipped = [CONTRIB / "systemd" / name for name in ("cosyd.socket", "cosyd.service")]
    done = verify(shipped, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@analyze
def test_the_service_is_hardened(tmp_path: Path) -> None:
    service = written(tmp_path)[1]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", service],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@analyze
def test_paths_that_systemd_reads_as_syntax(tmp_path: Path) -> None:
    odd = tmp_path / "a b" / "100%" / "python3"
    odd.parent.mkdir(parents=True)
    odd.symlink_to(sys.executable)
    place = PLACE._replace(python=str(odd), socket="/tmp/a b/50%/s")
    socket, service = written(tmp_path, place)
    assert "ListenStream=/tmp/a b/50%%/s\n" in socket.read_text()
    assert verify([socket, service], tmp_path).stderr == ""


@pytest.mark.parametrize("unfit", ["$HOME", 'a"b', "a\\b", "a\nb"])
def test_paths_that_no_unit_can_hold(unfit: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="another directory"):
        units.systemd_files(PLACE._replace(python=f"/{unfit}/python3"), tmp_path)


def test_the_units_differ_from_the_shipped_ones_only_in_paths(tmp_path: Path) -> None:
    for file in units.systemd_files(PLACE, tmp_path):
        shipped = (CONTRIB / "systemd" / file.path.name).read_text(encoding="utf-8")
        assert file.text == shipped.replace("/usr/bin/python3", PLACE.python)


def test_a_service_may_stop_as_long_as_the_daemon_drains() -> None:
    service = (CONTRIB / "systemd" / "cosyd.service").read_text(encoding="utf-8")
    (limit,) = [line for line in service.splitlines() if line.startswith("TimeoutStopSec=")]
    assert float(limit.partition("=")[2]) > Config().drain_timeout_s


def test_the_property_list(tmp_path: Path) -> None:
    place = PLACE._replace(python="/Users/a&b/python", socket="/Users/a&b/s")
    (file,) = units.launchd_files(place, tmp_path)
    text = placing.signed(file)
    agent = plistlib.loads(text.encode())
    assert agent == {
        "Label": "org.cosyd",
        "ProgramArguments": [place.python, "-P", "-m", "cosyd.daemon", "--launchd"],
        "Sockets": {
            "Listeners": {
                "SockFamily": "Unix",
                "SockType": "stream",
                "SockPathName": place.socket,
                "SockPathMode": 0o600,
            }
        },
        "RunAtLoad": False,
        "KeepAlive": False,
        "ExitTimeOut": 45,
        "ProcessType": "Interactive",
        "LimitLoadToSessionType": "Aqua",
        "Umask": 0o077,
        "StandardErrorPath": place.log,
    }
    words = [place.python, place.socket, place.log, *agent["ProgramArguments"]]
    assert not [word for word in words if "~" in word or "$" in word]


@pytest.mark.skipif(shutil.which("plutil") is None, reason="plutil comes with macOS only")
def test_apples_own_lint(tmp_path: Path) -> None:
    (file,) = units.launchd_files(PLACE, tmp_path)
    file.path.write_text(placing.signed(file), encoding="utf-8")
    subprocess.run(["plutil", "-lint", str(file.path)], check=True)
