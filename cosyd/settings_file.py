"""Reading `config.toml`: flat `key = value` lines, each checked, each mistake with its line."""

from __future__ import annotations

import os
import stat
from typing import Any, Final

from cosyd.settings import BadValue, ConfigError, find

MAX_BYTES: Final = 1_000_000
"""Nobody writes so many settings."""


def read(path: str) -> dict[str, Any]:
    """Field → value, of the settings that stand in the file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds what no setting can be.
    """
    return check(path, read_text(path))


def check(path: str, text: str) -> dict[str, Any]:
    """As `read`, for a file whose text is known."""
    found: dict[str, Any] = {}
    for key, value in parse(path, text).items():
        try:
            setting = find(key)
            if setting.name in found:
                raise BadValue(f"must be given once, not as {' and '.join(setting.keys)}")
            found[setting.name] = setting.from_file(value)
        except BadValue as error:
            raise _mistake(f"{path}:{lines_of(text).get(key, 1)}", key, value, error) from error
    return found


def _mistake(where: str, key: str, value: Any, error: BadValue) -> ConfigError:
    message = str(error)
    if message.startswith("must"):
        return ConfigError(f"{where}: {key} {message}: type `cosy config set {key} VALUE`")
    section = " (settings stand in no section)" if isinstance(value, dict) else ""
    command = f"unset {_typed(key)}" if key.isprintable() else "edit"
    return ConfigError(f"{where}: {message}{section}: type `cosy config {command}`")


def parse(path: str, text: str) -> dict[str, Any]:
    """What TOML makes of `text`. Raises `ConfigError` naming `path` and line."""
    if (values := plain(text)) is not None:
        return values
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number without end
        why, _, place = str(error).partition(" (at ")
        line = place.removeprefix("line ").partition(",")[0]
        line = line if line.isdecimal() else str(text.rstrip().count("\n") + 1)
        raise ConfigError(
            f"{path}:{line}: {why.lower()}: type `cosy config edit` to mend it"
        ) from error


def plain(text: str) -> dict[str, Any] | None:
    """What TOML makes of `text`, if all of it is plain; None: ask tomllib, which costs 8 ms.

    Plain are whole numbers and strings in double quotes without a backslash, a line each.
    """
    if not text.replace("\n", "").replace("\t", "").isprintable():
        return None
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        key, equals, rest = line.partition("=")
        key = key.strip()
        if not key or key.startswith("#"):
            if equals and not key:
                return None
            continue
        value = _plain_value(rest.strip())
        if value is None or key in found or not (key.isascii() and key.isidentifier()):
            return None
        found[key] = value
    return found


def _plain_value(text: str) -> str | int | None:
    if text.startswith('"'):
        string, closed, rest = text[1:].partition('"')
        ends = closed and rest.strip()[:1] in ("", "#")
        return string if ends and "\\" not in string else None
    digits = text.partition("#")[0].strip().removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 15:
        return None
    if digits.startswith("0") and digits != "0":
        return None
    return -int(digits) if text.startswith("-") else int(digits)


def read_text(path: str) -> str:
    """The file's text, line ends as they stand there.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path} is no file: remove it, or set COSYD_CONFIG to one")
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory: set COSYD_CONFIG to a file") from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}; mend that, or COSYD_CONFIG=- goes without it"
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} has over {MAX_BYTES} bytes: set COSYD_CONFIG to another file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text: type `cosy config edit` to mend it"
        ) from error


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for a pipe's other end."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def lines_of(text: str) -> dict[str, int]:
    """Key → the line, from 1, where it begins in a whole TOML document.

    tomllib tells no places. But a document up to a line's end is a document too, unless that
    is in the middle of a value: so a key begins after the last one that does not have it yet.
    """
    import tomllib

    found: dict[str, int] = {}
    lines = text.split("\n")
    begin = 1
    for count in range(1, len(lines) + 1):
        try:
            values = tomllib.loads("\n".join(lines[:count]) + "\n")
        except ValueError:
            continue
        for key in values:
            found.setdefault(key, begin)
        begin = count + 1
    return found


def _typed(key: str) -> str:
    """`key` as a shell takes it."""
    return key if key.isidentifier() else "'" + key.replace("'", "'\\''") + "'"
