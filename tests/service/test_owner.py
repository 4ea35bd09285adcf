"""Whether systemd listens at a path: read from its files, asked of nobody."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosyd.client import owner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A login whose systemd runs and has nothing of ours."""
    (tmp_path / "run" / "systemd").mkdir(parents=True)
    (tmp_path / "run" / "systemd" / "private").touch()
    return {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def enable(env: dict[str, str], listens: str) -> Path:
    unit = Path(owner.unit_dir(env)) / "sockets.target.wants" / "cosyd.socket"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text(f"[Socket]\n# ListenStream=/no\nListenStream={listens}\nBacklog=128\n")
    return unit


@pytest.mark.parametrize(
    ("listens", "path"),
    [
        ("%t/cosyd/cosyd.sock", "{run}/cosyd/cosyd.sock"),
        ("/a b/100%%/s", "/a b/100%/s"),
        ("/%%t/s", "/%t/s"),
    ],
)
def test_an_enabled_socket(env: dict[str, str], listens: str, path: str) -> None:
    path = path.format(run=env["XDG_RUNTIME_DIR"])
    assert not owner.systemd_listens_at(path, env)
    enable(env, listens)
    assert owner.systemd_listens_at(path, env)
    assert not owner.systemd_listens_at("/no", env)


def test_where_no_systemd_runs_it_listens_nowhere(env: dict[str, str]) -> None:
    enable(env, "/s")
    (Path(env["XDG_RUNTIME_DIR"]) / "systemd" / "private").unlink()
    assert not owner.systemd_listens_at("/s", env)
    assert not owner.is_asleep("/s", env)
    assert not owner.systemd_listens_at("/s", {})


def test_a_unit_that_is_only_a_broken_link(env: dict[str, str]) -> None:
    unit = enable(env, "/s")
    unit.unlink()
    unit.symlink_to("/nowhere")
    assert not owner.systemd_listens_at("/s", env)
