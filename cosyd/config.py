"""Settings: one frozen value, made from defaults, file, environment and flags; the last wins.

Nothing else reads any of these. `settings.SETTINGS` says what each setting means.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from cosyd.settings import BY_NAME, SETTINGS, BadValue, ConfigError, Setting, near

__all__ = ["FILE_VARIABLE", "Config", "ConfigError", "Given", "given", "load"]

FILE_VARIABLE: Final = "COSYD_CONFIG"
"""The environment variable that names the file; "-": none is read."""

_PREFIX: Final = "COSYD_"
_TYPO: Final = 0.85
"""So near to a variable of ours, one that we do not know is a slip and not somebody else's."""


class Config(NamedTuple):
    """All settings, each with its default. Durations in seconds, sizes in 10**6 bytes."""

    socket: str = ""
    voice: str = "af_heart"
    voice_zh: str = "zm_yunxi"
    keep_alive_s: float = 300.0
    idle_timeout_s: float = 1800.0
    engine_timeout_s: float = 60.0
    load_timeout_s: float = 600.0
    halt_timeout_s: float = 0.3
    drain_timeout_s: float = 30.0
    max_queued: int = 64
    max_resident: int = 3
    ram_budget_mb: int = 0
    vram_budget_mb: int = 0
    min_residency_s: float = 10.0
    preload: tuple[str, ...] = ()
    backoff_s: float = 0.5
    backoff_max_s: float = 30.0
    breaker_crashes: int = 3
    breaker_s: float = 60.0
    device: str = "auto"
    precision: str = "auto"
    worker_nice: int = 10
    voicepacks: tuple[str, ...] = ()
    data_dir: str = ""
    metrics_socket: str = ""
    log_level: str = "info"
    log_format: str = "text"
    log_file: str = ""


class Given(NamedTuple):
    """A value that somebody gave."""

    value: Any
    origin: str
    """"file", "environment" or "flag"."""
    where: str
    """The file's path, variable, or option."""


def load(
    env: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: str | None = None
) -> Config:
    """The settings from `file`, over which `env` (COSYD_…) wins, over which `flags` win.

    `flags` has the fields' names; None is "not given", text is read as in a variable. `file`
    comes from `paths.config_file`; that it does not exist is no error, unless COSYD_CONFIG
    names it.

    Raises:
        ConfigError: what is wrong, where, and what to type.
    """
    return Config(**{name: each.value for name, each in given(env, flags, file).items()})


def given(
    env: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: str | None = None
) -> dict[str, Given]:
    """Field → what was given for it, of all settings that are not the defaults. As `load`."""
    found = dict(_from_file(env, file))
    found.update(_from_environment(env))
    found.update(_from_flags(flags or {}))
    return found


def _from_file(env: Mapping[str, str], file: str | None) -> dict[str, Given]:
    if file is None:
        return {}
    try:
        os.stat(file)  # noqa: PTH116 - see cosyd.paths on pathlib
    except (FileNotFoundError, NotADirectoryError):
        if env.get(FILE_VARIABLE):
            raise ConfigError(
                f"{FILE_VARIABLE} names {file}, which does not exist: "
                "type `cosy config edit` to make it"
            ) from None
        return {}
    except OSError:  # reading it says why
        pass
    from cosyd.settings_file import read  # only who has a file pays for reading one

    return {name: Given(value, "file", file) for name, value in read(file).items()}


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    ours = {name for name in env if name.startswith(_PREFIX)}
    for setting in SETTINGS:
        for variable in setting.variables:
            if variable in ours:
                ours.discard(variable)
                if env[variable]:
                    yield setting.name, _from_variable(setting, variable, env[variable])
    for name in ours - {FILE_VARIABLE}:
        variables = [variable for setting in SETTINGS for variable in setting.variables]
        if hint := near(name, variables, _TYPO):
            raise ConfigError(f"no setting is called {name}{hint}: type `unset {name}`")


def _from_variable(setting: Setting, variable: str, text: str) -> Given:
    try:
        return Given(setting.parse(text), "environment", variable)
    except BadValue as error:
        raise ConfigError(f"{variable} {error}: mend it, or type `unset {variable}`") from error


def _from_flags(flags: Mapping[str, Any]) -> Iterator[tuple[str, Given]]:
    for name, value in flags.items():
        if value is None:
            continue
        setting = BY_NAME[name]
        try:
            read = setting.parse if isinstance(value, str) else setting.check
            yield name, Given(read(value), "flag", setting.flag)
        except BadValue as error:
            raise ConfigError(f"{setting.flag} {error}: `cosyd --help` lists all") from error
