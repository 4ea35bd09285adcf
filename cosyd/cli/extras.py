"""What `cosy install` puts beside the units: manual pages and shell completion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cosyd.cli.completion import FILES, SHELLS, scripts
from cosyd.cli.manual import pages
from cosyd.cli.units import File

ZSH_HINT: Final = "zsh finds it once ~/.zshrc has, before compinit: fpath+=({folder})"


def extra_files() -> list[File]:
    """Manual pages, and completion for each shell that is here."""
    found = [File(_manuals() / name, text) for name, text in sorted(pages().items())]
    for shell, text in scripts().items():
        if shutil.which(shell):
            found.append(File(_completion(shell), text))
    return found


def extra_paths() -> Iterator[Path]:
    """Where such files may be, those of other versions and other shells too."""
    yield from sorted(_manuals().glob("cosy*.1"))
    yield from map(_completion, SHELLS)


def hints() -> Iterator[str]:
    """What is left for the user to do."""
    if shutil.which("zsh"):
        yield ZSH_HINT.format(folder=_completion("zsh").parent)


def _manuals() -> Path:
    return _home("XDG_DATA_HOME", ".local/share") / "man" / "man1"


def _completion(shell: str) -> Path:
    if shell == "bash":
        folder = _home("XDG_DATA_HOME", ".local/share") / "bash-completion" / "completions"
    elif shell == "fish":
        folder = _home("XDG_CONFIG_HOME", ".config") / "fish" / "completions"
    else:
        folder = _home("XDG_DATA_HOME", ".local/share") / "zsh" / "site-functions"
    return folder / FILES[shell]


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / default
