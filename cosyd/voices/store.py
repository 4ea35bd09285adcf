"""Voicepacks made of recordings: written whole or not at all, in directories of this user only.

A new voice is put together in a directory beside its place and renamed into it. A change of one
is a new manifest renamed over the old: a sound file that it names is never written to again, so
whoever reads finds the old voice or the new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from cosyd.errors import BadRequest, VoiceExists
from cosyd.voices.voicepack import Voicepack

MANIFEST: Final = "metadata.yaml"
PROMPTS: Final = "prompts"
DEFAULT: Final = "default"
"""Name of the prompt that a voice begins with."""
LICENSE: Final = "private"
"""Of a cloned voice: whose it is, only the person who speaks in the recording knows."""
_DRAFT: Final = ".draft-"
_STALE_S: Final = 3600.0
"""A draft that old was left behind by a daemon that was killed."""


class Kind(NamedTuple):
    """What a cloned voice takes over from the engine that it is cloned for."""

    family: str
    model: str
    capabilities: tuple[str, ...]
    sample_rate: int
    languages: tuple[str, ...]


class Take(NamedTuple):
    """A prompt to be stored: a recording that was found fit."""

    prompt: str
    """Its name."""
    text: str
    language: str | None
    """BCP 47 tag of what is said; None: nobody knows."""
    loudness_lufs: float | None
    file: Path
    """The mono WAV, in a draft; it is moved out of there."""


def open_draft(root: Path, family: str) -> Path:
    """An empty directory beside the voices of `family` in `root`, for a `Take`'s file.

    Raises:
        OSError: no permission, no space.
    """
    folder = root / family
    _make(folder)
    _sweep(folder)
    return Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))


def discard(path: Path) -> None:
    """Remove a draft, or whatever became of it."""
    shutil.rmtree(path, ignore_errors=True)


def create(root: Path, name: str, kind: Kind, take: Take) -> Path:
    """Make the voice `name` of one recording; the voicepack's directory.

    Raises:
        VoiceExists: there is a directory of that name, if only a broken one.
        OSError: it cannot be written.
    """
    place, draft = root / kind.family / name, take.file.parent
    if place.exists():
        raise VoiceExists(f"{place} is in the way: remove it, or take another name")
    inner = Path(PROMPTS) / f"{take.prompt}.wav"
    _make(draft / PROMPTS)
    take.file.rename(draft / inner)
    _write(draft, _manifest(draft, name, kind, [_entry(take, inner)], take))
    draft.rename(place)
    _announce(place)
    return place


def replace(pack: Voicepack, kind: Kind, take: Take) -> None:
    """Let the voice be made of this recording alone; its other prompts go. Raises OSError."""
    entries = [_entry(take, _move_in(pack.path, take))]
    _write(pack.path, _manifest(pack.path, pack.name, kind, entries, take))
    _tidy(pack.path, entries)


def put_prompt(pack: Voicepack, kind: Kind, take: Take) -> None:
    """Add a prompt to a voice, or replace the one of that name. Raises OSError."""
    entry = _entry(take, _move_in(pack.path, take))
    others = [other for other in _entries(pack) if other["name"] != take.prompt]
    entries = [entry, *others] if take.prompt == pack.default_prompt else [*others, entry]
    _rewrite(pack, entries, kind.capabilities)


def remove_prompt(pack: Voicepack, name: str) -> None:
    """Take a prompt out of a voice; if it was the default one, the next one is from now on.

    Raises:
        VoiceNotFound: it has no such prompt.
        BadRequest: it is the only one.
        OSError: it cannot be written.
    """
    pack.with_prompt(name)
    entries = [entry for entry in _entries(pack) if entry["name"] != name]
    if not entries:
        raise BadRequest(f"{name} is all that {pack.name} has: remove {pack.name} itself")
    _rewrite(pack, entries, pack.capabilities)


def remove(path: Path) -> None:
    """Remove the voicepack in directory `path`: gone at once, and then deleted. Raises OSError."""
    grave = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=path.parent))
    path.rename(grave / path.name)
    _announce(path)
    shutil.rmtree(grave, ignore_errors=True)  # what stays of it is swept up later


def _make(folder: Path) -> None:
    for each in [*reversed(folder.parents), folder]:
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def _sweep(folder: Path) -> None:
    for path in folder.glob(f"{_DRAFT}*"):
        with suppress(OSError):  # another daemon is at it
            if time.time() - path.stat().st_mtime > _STALE_S:
                discard(path)


def _entry(take: Take, inner: Path) -> dict[str, str]:
    text = " ".join(take.text.split())  # line breaks of all kinds say nothing, and YAML folds some
    return {"name": take.prompt, "path": inner.as_posix(), "text": text}


def _entries(pack: Voicepack) -> list[dict[str, str]]:
    """The prompts as they stand in a manifest, the default one first."""
    prompts = sorted(pack.prompts, key=lambda prompt: prompt.name != pack.default_prompt)
    return [
        {
            "name": prompt.name,
            "path": prompt.path.relative_to(pack.path).as_posix(),
            "text": prompt.text,
        }
        for prompt in prompts
    ]


def _move_in(path: Path, take: Take) -> Path:
    """Put a sound file into a voice's directory under a name that was never another one's."""
    digest = hashlib.sha256(take.file.read_bytes()).hexdigest()[:12]
    inner = Path(PROMPTS) / f"{take.prompt}-{digest}.wav"
    _make(path / PROMPTS)
    take.file.rename(path / inner)
    return inner


def _manifest(
    path: Path, name: str, kind: Kind, entries: Sequence[dict[str, str]], take: Take
) -> dict[str, Any]:
    own = [] if take.language is None else [take.language]
    known = {language.split("-")[0].lower() for language in own}
    return {
        "name": name,
        "family": kind.family,
        "model_id": kind.model,
        "version": "1.0",
        "description": "cloned from a recording",
        "capabilities": _capabilities(kind.capabilities, entries),
        "languages": [*own, *(tag for tag in kind.languages if tag not in known)],
        "tags": ["cloned"],
        "audio": {"sample_rate": kind.sample_rate, "loudness_lufs": take.loudness_lufs},
        "size": _size(path, entries),
        "license": LICENSE,
        "prompts": {"default": entries[0]["name"], "available": list(entries)},
    }


def _capabilities(known: Sequence[str], entries: Sequence[Mapping[str, str]]) -> list[str]:
    """A recording without its words gives the sound of a voice, not the way it speaks."""
    spoken = any(entry["text"] for entry in entries)
    return [name for name in known if spoken or name != "zero_shot"]


def _size(path: Path, entries: Sequence[Mapping[str, str]]) -> int:
    return sum((path / entry["path"]).stat().st_size for entry in entries)


def _rewrite(pack: Voicepack, entries: list[dict[str, str]], capabilities: Sequence[str]) -> None:
    """The same manifest with other prompts."""
    import yaml

    data = yaml.safe_load((pack.path / MANIFEST).read_bytes())
    prompts = {"default": entries[0]["name"], "available": entries}
    abilities = _capabilities(capabilities, entries)
    size = _size(pack.path, entries)
    _write(pack.path, {**data, "capabilities": abilities, "size": size, "prompts": prompts})
    _tidy(pack.path, entries)


def _write(path: Path, manifest: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(manifest, allow_unicode=True, sort_keys=False, width=100)
    draft = path / f".{MANIFEST}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path / MANIFEST)


def _tidy(path: Path, entries: Sequence[Mapping[str, str]]) -> None:
    """Drop what no prompt needs any more, what was computed from it included."""
    keep = {path / MANIFEST, path / PROMPTS, *(path / entry["path"] for entry in entries)}
    for found in [*path.iterdir(), *(path / PROMPTS).iterdir()]:
        if found not in keep:
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)
    _announce(path)


def _announce(path: Path) -> None:
    """Tell every catalog that a voice in this directory's family has changed."""
    os.utime(path.parent, ns=(time.time_ns(), time.time_ns()))
