"""Where things are: settings, socket, data, logs. Imports platformdirs only when it must."""

from __future__ import annotations

# pathlib takes as long to import as all of Python's own start, and every `cosy say` comes here:
# ruff: noqa: PTH111, PTH117, PTH118
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from cosyd.config import FILE_VARIABLE, Config

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_PATH_MAX: Final = 107 if sys.platform == "linux" else 103
"""Bytes of a Unix socket's path, the terminating NUL not counted."""


def config_file(env: Mapping[str, str]) -> str | None:
    """Where settings are read from (Linux: ~/.config/cosyd/config.toml); None: nowhere.

    $COSYD_CONFIG names another file, or none with "-"; empty is as if unset.
    """
    if named := env.get(FILE_VARIABLE):
        return None if named == "-" else named
    return os.path.join(config_dir(env), "config.toml")


def config_dir(env: Mapping[str, str]) -> str:
    """The user's directory of cosyd's settings (Linux: ~/.config/cosyd)."""
    if sys.platform == "linux":  # as platformdirs, 13 ms sooner
        home = env.get("XDG_CONFIG_HOME", "")
        home = home if os.path.isabs(home) else os.path.expanduser("~/.config")
        return os.path.join(home, "cosyd")
    import platformdirs

    return platformdirs.user_config_dir("cosyd")


def runtime_dir(env: Mapping[str, str]) -> str:
    """The user's runtime directory of cosyd (Linux: $XDG_RUNTIME_DIR/cosyd)."""
    if sys.platform == "linux" and env.get("XDG_RUNTIME_DIR"):
        return os.path.join(env["XDG_RUNTIME_DIR"], "cosyd")  # as platformdirs, 13 ms sooner
    import warnings

    import platformdirs

    with warnings.catch_warnings():  # that $XDG_RUNTIME_DIR is unset is nobody's fault here
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_dir("cosyd")


def socket_path(config: Config) -> str:
    """The daemon's socket."""
    return config.socket or os.path.join(runtime_dir(os.environ), "cosyd.sock")


def data_dir(config: Config) -> Path:
    """Models and cloned voices of this user."""
    from pathlib import Path

    if config.data_dir:
        return Path(config.data_dir)
    import platformdirs

    return platformdirs.user_data_path("cosyd")


def log_file(config: Config) -> str:
    """The log of a daemon that no service manager started."""
    return config.log_file or os.path.join(log_dir(os.environ), "cosyd.log")


def log_dir(env: Mapping[str, str]) -> str:
    """The user's directory of cosyd's logs (Linux: ~/.local/state/cosyd/log)."""
    if sys.platform == "linux":  # as platformdirs, 13 ms sooner
        state = env.get("XDG_STATE_HOME", "")
        state = state if os.path.isabs(state) else os.path.expanduser("~/.local/state")
        return os.path.join(state, "cosyd", "log")
    import platformdirs

    return platformdirs.user_log_dir("cosyd")


def voicepack_dirs(config: Config) -> Iterator[Path]:
    """Directories that hold `<family>/<name>/metadata.yaml`, the user's own first."""
    from pathlib import Path

    yield from (Path(entry) for entry in config.voicepacks)
    yield data_dir(config) / "voicepacks"
    package = Path(__file__).parent
    installed = package / "voicepacks"
    yield installed if installed.is_dir() else package.parent / "voicepacks"
