"""Structured logs: one JSON object a line on stderr. Never what was spoken: its length and hash.

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
from hashlib import blake2s
from typing import Any

_KEY = os.urandom(16)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": f"{record.name}[{record.process}]",
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info and record.exc_info[1] is not None:
            line.update(bug_facts(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(level: str) -> None:
    """Log to stderr from `level` on; libraries from "warning" on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
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
