"""`cosy config edit`: the user's editor, then a look at what came out."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cosyd.cli.failure import Failure, note
from cosyd.config import Config, ConfigError
from cosyd.settings import SETTINGS
from cosyd.settings_file import read

_EDITORS: Final = ("sensible-editor", "editor", "nano", "vi")
"""Tried in turn where nobody chose one."""


def edit(path: Path) -> bool:
    """Edit until the file is good or nobody is there to ask; whether there is a file.

    Raises:
        ConfigError: the file is wrong; the edit is kept.
        Failure: there is no editor, or it failed, or the user gave up.
    """
    command = _editor()
    template = None if path.exists() else "\n".join(_template())
    if template is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template, encoding="utf-8")
    _edit_until_good(command, path)
    if template is not None and path.exists() and path.read_text(encoding="utf-8") == template:
        path.unlink()
    return path.exists()


def _edit_until_good(command: list[str], path: Path) -> None:
    while True:
        _run(command, path)
        if not path.exists():
            return
        try:
            read(str(path))
            return
        except ConfigError as error:
            if not sys.stdin.isatty():
                raise
            note(str(error))
        print("Edit again? [Y/n] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("", "y", "yes"):
            raise Failure("nothing works until that is mended: type `cosy config edit`")


def _editor() -> list[str]:
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if chosen:
        return shlex.split(chosen)
    found = next(filter(shutil.which, _EDITORS), None)
    if found is None:
        raise Failure("no editor is installed: type `EDITOR=… cosy config edit`")
    return [found]


def _run(command: list[str], path: Path) -> None:
    try:
        with subprocess.Popen([*command, str(path)]) as editor:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the editor
            try:
                code = editor.wait()
            finally:
                signal.signal(signal.SIGINT, before)
    except OSError as error:
        raise Failure(
            f"cannot start {command[0]}: {error.strerror}; type `EDITOR=nano cosy config edit`"
        ) from error
    if code:
        raise Failure(f"{command[0]} ended with code {code}: `cosy config show` tells what is set")


def _template() -> Iterator[str]:
    """A file to begin with: every setting and its default, as comments."""
    yield "# Settings of cosyd. Take the `# ` away from those that you change."
    for setting in SETTINGS:
        default = setting.show(Config._field_defaults[setting.name])
        yield f"\n# {setting.help}"
        yield f"# {setting.key} = {json.dumps(default)}"
    yield ""
