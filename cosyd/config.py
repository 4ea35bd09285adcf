"""Settings: one frozen value, made once from environment and flags; nothing else reads either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class ConfigError(ValueError):
    """A setting has a value it cannot have; the message names the setting."""


class Config(NamedTuple):
    """All settings. Durations in seconds."""

    socket: str = ""
    """Path of the daemon's socket; "": the default place."""
    voice: str = "af_heart"
    """Voice when a request names none."""
    voice_zh: str = "zm_yunxi"
    """Voice when a request names none and its text is Chinese."""
    keep_alive_s: float = 300.0
    """How long a model that nobody uses stays resident; below 0: for ever."""
    idle_timeout_s: float = 1800.0
    """How long a daemon with no model, connection or utterance stays; below 0: for ever."""
    engine_timeout_s: float = 60.0
    """How long an engine may make no progress before it is replaced."""
    load_timeout_s: float = 600.0
    """How long a model may take to load."""
    halt_timeout_s: float = 0.3
    """How long an engine may go on computing for an utterance that was stopped."""
    drain_timeout_s: float = 30.0
    """How long a shutdown lets what is being said go on."""
    max_queued: int = 64
    """Utterances that may wait for one model."""
    max_resident: int = 3
    """Models that may be resident at once."""
    ram_budget_mb: int = 0
    """Memory that resident models may take together; 0: three quarters of the machine's."""
    vram_budget_mb: int = 0
    """The same on the GPU; 0: what its driver calls free."""
    min_residency_s: float = 10.0
    """How long a model stays before it may make room for another."""
    preload: tuple[str, ...] = ()
    """Models that are loaded when the daemon starts."""
    backoff_s: float = 0.5
    """Wait before a model that died is loaded again; doubled at each death in a row."""
    backoff_max_s: float = 30.0
    breaker_crashes: int = 3
    """Deaths in a row after which a model is not tried again for `breaker_s`."""
    breaker_s: float = 60.0
    device: str = "auto"
    """Where engines compute: "auto", "cpu", "cuda", "cuda:1", "mps"."""
    precision: str = "auto"
    """In which numbers: "auto", "fp32", "bf16", "fp16", "int8"."""
    worker_nice: int = 10
    """Added to the niceness of the engines' processes."""
    voicepacks: str = ""
    """More directories with voicepacks, separated by ":"."""
    data_dir: str = ""
    """Where models and cloned voices live; "": the platform's data directory."""
    metrics_socket: str = ""
    """Path of a second Unix socket that answers with Prometheus text; "": none."""
    log_level: str = "info"
    log_format: str = "text"
    """"text" or "json", a line an event."""
    log_file: str = ""
    """Where a daemon that was started by a client logs; "": the platform's log directory."""


_PREFIX = "COSYD_"
_SHORT = {"keep_alive_s", "idle_timeout_s", "engine_timeout_s"}
"""Settings whose variable also goes without the unit, as people type it."""


def _names(field: str) -> list[str]:
    names = [_PREFIX + field.upper()]
    if field in _SHORT:
        names.append(_PREFIX + field.removesuffix("_s").upper())
    return names


def _convert(field: str, text: str) -> Any:
    default = Config._field_defaults[field]
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    kind: Callable[[str], Any] = type(default)
    try:
        return kind(text)
    except ValueError as error:
        name = _PREFIX + field.upper()
        raise ConfigError(f"{name} must be a number, not {text!r}: unset it or mend it") from error


def load(env: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Config:
    """The settings from `env` (COSYD_…), over which `flags` win; None in flags is "not given".

    Raises:
        ConfigError: a value that does not convert, naming the variable.
    """
    values: dict[str, Any] = {}
    for field in Config._fields:
        for name in _names(field):
            if env.get(name):
                values[field] = _convert(field, env[name])
    values.update({k: v for k, v in (flags or {}).items() if v is not None})
    return Config(**values)
