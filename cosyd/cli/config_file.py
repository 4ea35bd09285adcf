"""Changing `config.toml`: one setting changes, all else stays as the user wrote it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosyd.cli.failure import Failure
from cosyd.settings import DURATION, SIZE, BadValue, Setting
from cosyd.settings_file import parse, read_text

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def typed(setting: Setting, words: Sequence[str]) -> Any:
    """What goes into the file for the words of a command line: as typed, if it is good.

    Raises:
        BadValue: it is not.
    """
    value = setting.from_words(words)
    if setting.kind in (DURATION, SIZE):
        value = _number(value)
    try:
        str(value).encode("utf-8")
    except UnicodeEncodeError:
        raise BadValue("must be UTF-8 text") from None
    setting.from_file(value)
    return value


def _number(text: str) -> int | float | str:
    """A plain number as one; "5m" stays text."""
    for convert in (int, float):
        with suppress(ValueError):
            return convert(text)
    return text.strip()


def set_value(path: Path, setting: Setting, value: Any) -> None:
    """Let `path` have `value` for `setting`, under the name that it already has there.

    Raises:
        ConfigError: the file is no TOML.
        Failure: it cannot be written.
    """

    def change(document: TOMLDocument) -> None:
        *doubles, key = [key for key in setting.keys if key in document] or [setting.key]
        for double in doubles:
            document.remove(double)
        document[key] = value

    _change(path, change)


def unset(path: Path, keys: Sequence[str]) -> bool:
    """Take all of `keys` out of `path`; whether one was there. Raises as `set_value`."""
    found: list[str] = []

    def change(document: TOMLDocument) -> None:
        found.extend(key for key in keys if key in document)
        for key in found:
            document.remove(key)

    if path.exists():
        _change(path, change)
    return bool(found)


def _change(path: Path, change: Callable[[TOMLDocument], None]) -> None:
    import tomlkit

    real = Path(os.path.realpath(path))  # a link into somebody's dotfiles stays one
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with _alone(real.parent):
            text = read_text(str(path)) if real.exists() else ""
            parse(str(path), text)  # its errors name the line
            document = tomlkit.parse(text)
            change(document)
            if (new := document.as_string()) != text:
                _replace(real, new.encode("utf-8"))
    except OSError as error:
        raise Failure(
            f"cannot write {path}: {error.strerror}; set COSYD_CONFIG to a file you may write"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two commands that change a file at once, one waits: else one change would be lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of `path` at once, with the mode and the owner that it has."""
    old = path.stat() if path.exists() else None
    if old is not None and not os.access(path, os.W_OK):  # who made it so meant it
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    descriptor, name = tempfile.mkstemp(prefix=".config-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                with suppress(PermissionError):  # a group of which we are no member
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
