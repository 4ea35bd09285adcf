"""Structured logs on stderr, an event a line. Never what was spoken: its length and hash.

The hash is keyed anew in every process: it tells equal texts apart in one log and betrays
nothing about a text to somebody who guesses.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping
from hashlib import blake2s
from typing import Any, Final

_KEY: Final = os.urandom(16)
_JOURNAL_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
"""From this level on → the number that sd-daemon(3) gives it."""
_DEBUG_PRIORITY: Final = 7


class _Lines(logging.Formatter):
    """What both formats share: the priority in front, if it is the journal that reads."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        line = self._line(record, _facts(record))
        return f"<{_priority(record.levelno)}>{line}" if self._journal else line

    def _line(self, record: logging.LogRecord, facts: dict[str, Any]) -> str:
        raise NotImplementedError


class _Json(_Lines):
    """One JSON object: ts, level, logger, process, event, then the event's own fields."""

    def _line(self, record: logging.LogRecord, facts: dict[str, Any]) -> str:
        head = {
            "ts": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": _event(record),
        }
        return _dump({**head, **facts, **head})  # `head` again: no field may stand in its place


class _Text(_Lines):
    """Such as `2026-01-31T12:00:00.123Z info cosyd.daemon[42] listening socket=/run/x pid=42`.

    The journal has time, process and priority of its own: there the line begins with the logger.
    """

    def _line(self, record: logging.LogRecord, facts: dict[str, Any]) -> str:
        words = [_event(record), *(f"{key}={_word(value)}" for key, value in facts.items())]
        if self._journal:
            return " ".join([f"{record.name}:", *words])
        who = f"{record.name}[{record.process}]"
        return " ".join([_stamp(record), record.levelname.lower(), who, *words])


_FORMATTERS: Final = {"text": _Text, "json": _Json}


def set_up(level: str, form: str = "text", env: Mapping[str, str] | None = None) -> None:
    """Log to stderr from `level` on, as "text" or "json"; libraries from "warning" on."""
    handler = logging.StreamHandler(sys.stderr)
    journal = _is_journal(os.environ if env is None else env, 2)
    handler.setFormatter(_FORMATTERS[form](journal))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("cosyd").setLevel(level.upper())


def event(log: logging.Logger, name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log `name` with `fields`."""
    log.log(level, name, extra={"fields": fields})


def text_facts(text: str) -> dict[str, Any]:
    """What a log may say about a text."""
    digest = blake2s(text.encode("utf-8", "replace"), key=_KEY, digest_size=6).hexdigest()
    return {"chars": len(text), "text_hash": digest}


def bug_facts(error: BaseException) -> dict[str, Any]:
    """Where a bug is: type and frames, without the message, which may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "trace": where}


def _is_journal(env: Mapping[str, str], descriptor: int) -> bool:
    """Whether `descriptor` leads to systemd's journal, as systemd.exec(5) says to find out."""
    try:
        found = os.fstat(descriptor)
    except OSError:  # closed
        return False
    return env.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _priority(level: int) -> int:
    return next(
        (number for least, number in _JOURNAL_PRIORITIES if level >= least), _DEBUG_PRIORITY
    )


def _stamp(record: logging.LogRecord) -> str:
    """UTC, to the millisecond."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{stamp}.{int(record.msecs):03d}Z"


def _event(record: logging.LogRecord) -> str:
    """What happened. Of other people's messages the first line: asyncio quotes exceptions below."""
    lines = record.getMessage().splitlines()
    return "".join(c if c.isprintable() else "\ufffd" for c in lines[0]) if lines else ""


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        facts.update(bug_facts(record.exc_info[1]))
    return facts


def _word(value: Any) -> str:
    """`value` without a line's end, and without a space unless it stands in quotes."""
    if isinstance(value, str) and value and value.isprintable() and not set(value) & set(' "='):
        return value
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if shown.isprintable() else _dump(value)


def _dump(value: Any) -> str:
    """ASCII, because half a surrogate is no UTF-8, and nothing that a terminal would obey."""
    return json.dumps(value, default=str).replace("\x7f", "\\u007f")
