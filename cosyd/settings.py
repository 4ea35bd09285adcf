"""Every setting in one table: what it means, what values it may have, how people write them.

The defaults stand in `config.Config`, whose fields are these names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

DAY_S: Final = 86_400.0
YEAR_S: Final = 365 * DAY_S
"""More than any timer needs, and little enough for every timer."""

_DURATIONS: Final = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": DAY_S}
_SIZES: Final = {"mb": 1, "gb": 1000}
_DEVICES: Final = ("auto", "cpu", "cuda", "mps")


class ConfigError(ValueError):
    """A setting has a value it cannot have; the message names the setting."""


class BadValue(ValueError):
    """A value that its setting cannot have; the message goes after the setting's name."""


class Kind(NamedTuple):
    """What values look like."""

    told: str
    """In an error: "must be …"."""
    short: str
    """In a table and in a usage line."""
    parse: Callable[[str], Any]
    """From text as it stands in a variable or after a command; raises ValueError."""
    check: Callable[[Any], Any]
    """From what TOML made of it to the value that `Config` holds; raises ValueError."""
    show: Callable[[Any], Any]
    """From the value that `Config` holds to what people write in TOML."""
    unit: str = ""
    """What the name in `Config` ends in and the usual name leaves out."""


class Setting(NamedTuple):
    """One setting."""

    name: str
    """The field in `Config`."""
    kind: Kind
    help: str
    """One line."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    restart: bool = False
    """Whether a running daemon takes a change only when it is started anew."""

    @property
    def key(self) -> str:
        """The usual name: without the unit, which a value may bring along."""
        return self.name.removesuffix(self.kind.unit)

    @property
    def keys(self) -> tuple[str, ...]:
        """All its names in the file, the usual one last."""
        return tuple(dict.fromkeys((self.name, self.key)))

    @property
    def variables(self) -> tuple[str, ...]:
        """All its environment variables; the last one wins."""
        return tuple(f"COSYD_{key.upper()}" for key in self.keys)

    @property
    def flag(self) -> str:
        """Its option of `cosyd`."""
        return f"--{self.key.replace('_', '-')}"

    @property
    def told(self) -> str:
        """What a value must be, with its range."""
        if self.choices:
            return "one of " + ", ".join(f'"{choice}"' for choice in self.choices)
        return f"{self.kind.told}{self.range}"

    @property
    def range(self) -> str:
        """Such as " from 1 to 100"; "" if everything goes."""
        low, high = (None if x is None else self.kind.show(x) for x in (self.low, self.high))
        if low is None or high is None:
            return ""
        return f" from {low} to {high}"

    def parse(self, text: str) -> Any:
        """The value for `text` as it stands in a variable or after an option.

        Raises:
            BadValue: it is none.
        """
        try:
            return self.check(self.kind.parse(text))
        except BadValue:
            raise
        except ValueError:
            raise self._bad(text) from None

    def check(self, value: Any) -> Any:
        """The value that `Config` holds for what TOML made of it.

        Raises:
            BadValue: it is none.
        """
        try:
            found = self.kind.check(value)
        except ValueError:
            raise self._bad(value) from None
        if self.choices and found not in self.choices:
            raise self._bad(value)
        if self.low is not None and not self.low <= found:
            raise self._bad(value)
        if self.high is not None and not found <= self.high:
            raise self._bad(value)
        return found

    def from_file(self, value: Any) -> Any:
        """As `check`; a path must not depend on where a program happens to run."""
        found = self.check(value)
        paths = (found,) if self.kind is PATH else found if self.kind is PATHS else ()
        if not all(os.path.isabs(path) for path in paths if path):  # noqa: PTH117 - as cosyd.paths
            raise BadValue(f'must start with "/" or "~", not {told(value)}')
        return found

    def from_words(self, words: Sequence[str]) -> Any:
        """What TOML holds for the words of a command line; not checked.

        Raises:
            BadValue: it is not even of the right type.
        """
        if self.kind in (NAMES, PATHS):
            return [part for word in words for part in self.kind.parse(word)]
        try:
            return self.kind.parse(" ".join(words))
        except ValueError:
            raise self._bad(" ".join(words)) from None

    def show(self, value: Any) -> Any:
        """`value` as people write it in TOML: str, int, float or list of str."""
        return self.kind.show(value)

    def _bad(self, value: Any) -> BadValue:
        return BadValue(f"must be {self.told}, not {told(value)}")


def told(value: Any) -> str:
    """`value` in an error's text: as TOML writes it, and not too long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        printable = "".join(c if c.isprintable() else "\ufffd" for c in value[:60])
        return f'"{printable}{"…" if len(value) > 60 else ""}"'
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _with_unit(text: str, units: dict[str, Any]) -> float:
    lowered = text.strip().lower()
    for unit, factor in units.items():
        if lowered.endswith(unit):
            return float(lowered.removesuffix(unit)) * float(factor)
    return float(lowered)


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        value = _with_unit(value, _DURATIONS)
    if not _is_number(value) or not -YEAR_S <= value <= YEAR_S:  # NaN is in no range
        raise ValueError
    return float(value)


def _show_seconds(value: float) -> str | float:
    if value < 0:
        return int(value) if value == int(value) else value
    for unit in ("d", "h", "m"):
        if value and value % _DURATIONS[unit] == 0:
            return f"{int(value // _DURATIONS[unit])}{unit}"
    return f"{value:g}s" if float(f"{value:g}") == value else f"{value!r}s"


def _megabytes(value: Any) -> int:
    if isinstance(value, str):
        size = _with_unit(value, _SIZES)
        value = int(size) if abs(size) < 1e12 and size == int(size) else None
    return _whole(value)


def _show_megabytes(value: int) -> str | int:
    if not value:
        return 0
    return f"{value // 1000}GB" if value % 1000 == 0 else f"{value}MB"


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not all(c.isprintable() or _is_raw(c) for c in value):
        raise ValueError
    return value


def _is_raw(character: str) -> bool:
    """Whether it stands for a byte of a path that is not UTF-8."""
    return "\udc80" <= character <= "\udcff"


def _name(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError
    return str(value)


def _path(value: Any) -> str:
    path = _text(value)
    return os.path.expanduser(path) if path.startswith("~") else path  # noqa: PTH111 - as above


def _device(value: Any) -> str:
    name, colon, index = _text(value).partition(":")
    numbered = name == "cuda" and index.isascii() and index.isdecimal()
    if value not in _DEVICES and not (colon and numbered):
        raise ValueError
    return str(value)


def _list_of(each: Callable[[Any], str]) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError
        return tuple(each(entry) for entry in value)

    return check


def _split(separator: str) -> Callable[[str], list[str]]:
    return lambda text: [part.strip() for part in text.split(separator) if part.strip()]


def _same(value: Any) -> Any:
    return value


DURATION: Final = Kind(
    'a duration such as "90s", "5m" or "2h"', "duration", _same, _seconds, _show_seconds, "_s"
)
SIZE: Final = Kind(
    'a size such as "800MB" or "8GB"', "size", _same, _megabytes, _show_megabytes, "_mb"
)
COUNT: Final = Kind("a whole number", "number", int, _whole, _same)
NAME: Final = Kind("a name", "name", _same, _name, _same)
NAMES: Final = Kind("a list of names", "names", _split(","), _list_of(_name), list)
PATH: Final = Kind("a path", "path", _same, _path, _same)
PATHS: Final = Kind("a list of paths", "paths", _split(os.pathsep), _list_of(_path), list)
DEVICE: Final = Kind(
    '"auto", "cpu", "mps", "cuda" or such as "cuda:1"', "device", _same, _device, _same
)
LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")

SETTINGS: Final = (
    Setting("socket", PATH, "The daemon's Unix socket; empty: the usual place.", restart=True),
    Setting("voice", NAME, "Who speaks if a request does not say."),
    Setting("voice_zh", NAME, "Who speaks Chinese if a request does not say."),
    Setting("keep_alive_s", DURATION, "How long an unused model stays; below 0: for ever."),
    Setting("idle_timeout_s", DURATION, "An unused daemon ends after this; below 0: never."),
    Setting("engine_timeout_s", DURATION, "An engine that stands still so long is replaced.",
            0.01, YEAR_S),
    Setting("load_timeout_s", DURATION, "How long a model may take to load.", 0.01, YEAR_S),
    Setting("halt_timeout_s", DURATION, "How long an engine may go on after a stop.", 0.0, 60.0),
    Setting("drain_timeout_s", DURATION, "How long a shutdown waits for what is being said.",
            0.0, YEAR_S),
    Setting("max_queued", COUNT, "Utterances that may wait for one model.", 0, 100_000),
    Setting("max_resident", COUNT, "Models in memory at once.", 1, 1000),
    Setting("ram_budget_mb", SIZE, "Memory for all models; 0: three quarters of the machine's.",
            0, 1_000_000_000),
    Setting("vram_budget_mb", SIZE, "GPU memory for all models; 0: what the driver calls free.",
            0, 1_000_000_000),
    Setting("min_residency_s", DURATION, "How long a model stays before another may replace it.",
            0.0, YEAR_S),
    Setting("preload", NAMES, "Models to load when the daemon starts.", restart=True),
    Setting("backoff_s", DURATION, "Wait before a model that died is loaded again; doubles.",
            0.0, YEAR_S),
    Setting("backoff_max_s", DURATION, "The longest such wait.", 0.0, YEAR_S),
    Setting("breaker_crashes", COUNT, "Deaths in a row after which a model is left alone.",
            1, 1000),
    Setting("breaker_s", DURATION, "How long it is left alone then.", 0.0, YEAR_S),
    Setting("device", DEVICE, "Where engines compute."),
    Setting("precision", NAME, "Which numbers engines compute with.",
            choices=("auto", "fp32", "bf16", "fp16", "int8")),
    Setting("worker_nice", COUNT, "How far engines' processes stand back for others.", 0, 19),
    Setting("voicepacks", PATHS, "More directories with voicepacks.", restart=True),
    Setting("data_dir", PATH, "Models and cloned voices; empty: the usual place.", restart=True),
    Setting("metrics_socket", PATH, "A second socket, with Prometheus text; empty: none.",
            restart=True),
    Setting("log_level", NAME, "How much is logged.", choices=LEVELS),
    Setting("log_format", NAME, "Lines for people, or an object a line.", choices=FORMATS),
    Setting("log_file", PATH, "Log of a self-started daemon; empty: the usual place.",
            restart=True),
)  # fmt: skip
"""In the order in which they are shown."""

BY_NAME: Final = {setting.name: setting for setting in SETTINGS}
BY_KEY: Final = {key: setting for setting in SETTINGS for key in setting.keys}


def find(key: str) -> Setting:
    """The setting that is called `key`, with or without its unit.

    Raises:
        BadValue: none is; the message has the nearest name.
    """
    if key in BY_KEY:
        return BY_KEY[key]
    raise BadValue(f"no setting is called {told(key)}{near(key, BY_KEY)}")


def near(name: str, names: Any, closeness: float = 0.6) -> str:
    """Such as " (did you mean voice?)"; "" if nothing is near."""
    import difflib

    found = difflib.get_close_matches(name.lower(), [each.lower() for each in names], 1, closeness)
    shown = {each.lower(): each for each in names}
    return f" (did you mean {shown[found[0]]}?)" if found else ""
