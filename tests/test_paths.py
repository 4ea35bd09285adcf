"""Where things are; the shortcut around platformdirs gives the same answer."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from cosyd import paths
from cosyd.config import Config


def test_runtime_dir_is_platformdirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert paths.runtime_dir(env) == platformdirs.user_runtime_dir("cosyd")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert paths.runtime_dir({}) == platformdirs.user_runtime_dir("cosyd")


@pytest.mark.parametrize("state", ["/var/tmp/state", "relative", "", None])
def test_log_dir_is_platformdirs(monkeypatch: pytest.MonkeyPatch, state: str | None) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    env = {}
    if state is not None:
        env["XDG_STATE_HOME"] = state
        monkeypatch.setenv("XDG_STATE_HOME", state)
    assert paths.log_dir(env) == platformdirs.user_log_dir("cosyd")


@pytest.mark.parametrize("home", ["/var/tmp/config", "relative", "", None])
def test_config_dir_is_platformdirs(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    env = {}
    if home is not None:
        env["XDG_CONFIG_HOME"] = home
        monkeypatch.setenv("XDG_CONFIG_HOME", home)
    assert paths.config_dir(env) == platformdirs.user_config_dir("cosyd")
    assert paths.config_file(env) == str(Path(paths.config_dir(env)) / "config.toml")


def test_another_settings_file_or_none() -> None:
    assert paths.config_file({"COSYD_CONFIG": "/x"}) == "/x"
    assert paths.config_file({"COSYD_CONFIG": "-"}) is None
    assert paths.config_file({"COSYD_CONFIG": ""}) == paths.config_file({})


def test_settings_win(tmp_path: Path) -> None:
    config = Config(socket="/s", data_dir=str(tmp_path), log_file="/l", voicepacks=("/a", "/b"))
    assert paths.socket_path(config) == "/s"
    assert paths.data_dir(config) == tmp_path
    assert paths.log_file(config) == "/l"
    dirs = list(paths.voicepack_dirs(config))
    assert dirs[:3] == [Path("/a"), Path("/b"), tmp_path / "voicepacks"]
    assert (dirs[3] / "kokoro").is_dir()
