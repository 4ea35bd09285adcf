"""Files that `cosy install` owns: each says so in a line with a hash of all its other lines.

So an edited one is known from one that only a newer cosyd would write differently, without any
record elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

from cosyd.cli.failure import Failure
from cosyd.cli.units import File

_CLAIM: Final = "Installed by `cosy install`; sha256 of the other lines: "
_LINE: Final = re.compile(f"^.*{re.escape(_CLAIM)}([0-9a-f]{{64}}).*\n", re.MULTILINE)

State = Literal["absent", "same", "ours", "foreign"]
"""Of a file to be: as it should be; written by some `cosy install`; edited or not ours at all."""


class _Comment(NamedTuple):
    begin: str = "# "
    end: str = ""
    at_line: int | None = None
    """Before which line it goes; None: last."""


_COMMENTS: Final = {
    ".plist": _Comment("<!-- ", " -->", 2),  # after the declaration and the document type
    ".1": _Comment('.\\" '),
}


def signed(file: File) -> str:
    """Its text with the line that says whose it is."""
    begin, end, at_line = _COMMENTS.get(file.path.suffix, _Comment())
    text = file.text if file.text.endswith("\n") else f"{file.text}\n"
    lines = re.findall(r".*\n", text)  # str.splitlines would also cut at odd separators
    where = len(lines) if at_line is None else at_line
    lines.insert(where, f"{begin}{_CLAIM}{_digest(text)}{end}\n")
    return "".join(lines)


def is_ours(text: str) -> bool:
    """Whether `text` is as some `cosy install` wrote it."""
    found = _LINE.search(text)
    return found is not None and _digest(_LINE.sub("", text, count=1)) == found[1]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def state(path: Path, wanted: str | None = None) -> State:
    """What is at `path` now; `wanted` is the signed text that should be there."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except (UnicodeDecodeError, IsADirectoryError):
        return "foreign"
    if text == wanted:
        return "same"
    return "ours" if is_ours(text) else "foreign"


def refuse_foreign(paths: Iterable[Path], force: bool) -> None:
    """Raise `Failure` if one of `paths` is there and no `cosy install` left it like this."""
    found = [str(path) for path in paths if not force and state(path) == "foreign"]
    if found:
        raise Failure(f"{', '.join(found)}: edited by hand; --force replaces or removes it anyway")


class Placer:
    """Writes and removes files, or only says what it would do."""

    def __init__(self, dry: bool, tell: Callable[[str], None]) -> None:
        self._dry = dry
        self._tell = tell

    def write(self, file: File) -> None:
        """Put `file` where it belongs, whole."""
        text = signed(file)
        if state(file.path, text) == "same":
            self._tell(f"unchanged {file.path}")
            return
        self._tell(f"{'would write' if self._dry else 'wrote'} {file.path}")
        if not self._dry:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.path.with_name(f".{file.path.name}.{os.getpid()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file.path)

    def remove(self, path: Path) -> None:
        """Take `path` away."""
        self._tell(f"{'would remove' if self._dry else 'removed'} {path}")
        if not self._dry:
            path.unlink(missing_ok=True)
