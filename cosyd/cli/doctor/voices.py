"""Checks of voices and the models they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cosyd.cli.doctor.finding import Finding, Patient
from cosyd.cli.human import plural, size
from cosyd.engines.registry import find, missing
from cosyd.paths import data_dir, voicepack_dirs
from cosyd.voices.voicepack import BadVoicepack, Voicepack, load

if TYPE_CHECKING:
    from cosyd.engines.cosyvoice2.pull import File

MOST_NAMED = 5
"""Broken voicepacks that are named one by one."""


def voices(patient: Patient) -> Iterator[Finding]:
    """Broken voicepacks by name, and whether the configured voices are there."""
    good, broken = _all(patient)
    for why in broken[:MOST_NAMED]:
        yield Finding("warn", f"broken voicepack: {why}", "reinstall or remove that voice")
    if len(broken) > MOST_NAMED:
        rest = plural(len(broken) - MOST_NAMED, "more broken voicepack")
        yield Finding("warn", rest, "cosy doctor --json lists those that are named first")
    if good:
        yield Finding("ok", plural(len(good), "voice"))
    else:
        yield Finding("bad", "there is no voice", "pip install --force-reinstall 'cosyd[kokoro]'")
    for setting in ("voice", "voice_zh"):
        yield from _configured(setting, getattr(patient.config, setting), good)


def _configured(setting: str, name: str, good: dict[str, Voicepack]) -> Iterator[Finding]:
    voice = good.get(name.partition("/")[0])
    if voice is None:
        yield Finding(
            "bad" if setting == "voice" else "warn",
            f"there is no voice {name!r}, which the setting {setting} names",
            f"cosy config set {setting} NAME (cosy voices lists them)",
        )
        return
    engine = find(voice.engine)
    if engine is None:
        yield Finding("bad", f"{name} needs the engine {voice.engine}", "install its package")
    elif missing(engine):
        yield Finding("bad", f"{name} needs the engine {voice.engine}", engine.install)


def _all(patient: Patient) -> tuple[dict[str, Voicepack], list[str]]:
    """Usable voices by name, and what is wrong with the others."""
    good: dict[str, Voicepack] = {}
    broken = []
    for root in voicepack_dirs(patient.config):
        for manifest in sorted(root.glob("*/*/")):
            if not manifest.is_dir():
                continue
            try:
                voice = load(manifest)
            except BadVoicepack as error:
                broken.append(str(error))
                continue
            good.setdefault(voice.name, voice)
    return good, broken


def models(patient: Patient) -> Iterator[Finding]:
    """Whether the weights are there and whole."""
    root = data_dir(patient.config) / "models"
    yield from _kokoro(root)
    yield from _cosyvoice2(root)
    for part in sorted(root.glob("*/*.part")) if root.is_dir() else []:
        held = size(part.stat().st_size)
        yield Finding("warn", f"half-fetched: {part} ({held})", "fetch it again, or remove it")


def _kokoro(root: Path) -> Iterator[Finding]:
    from cosyd.engines.kokoro import DESCRIPTOR, weights

    if missing(DESCRIPTOR):
        return  # that was said
    file = root / weights.MODEL / weights.FILE
    if not file.exists():
        yield Finding("ok", f"{weights.MODEL}: its file is put together at the first use")
    elif file.stat().st_size != weights.SIZE:
        yield Finding("warn", f"{file} is not whole", "nothing: it is made anew at the next use")
    elif _sha256(file) != weights.SHA256:
        yield Finding("bad", f"{file} is damaged", f"rm {file} (it is made anew)")
    else:
        yield Finding("ok", f"{weights.MODEL}: {size(weights.SIZE)}, checksum right")


def _cosyvoice2(root: Path) -> Iterator[Finding]:
    from cosyd.engines.cosyvoice2.pull import FILES

    folder = root / "CosyVoice2-0.5B"
    if not folder.is_dir():
        return  # nobody wanted it
    absent = [file.path for file in FILES if not (folder / file.path).is_file()]
    other = [file.path for file in FILES if _differs(folder / file.path, file)]
    if absent:
        yield Finding("bad", f"{folder}: {', '.join(absent)} missing", "cosy pull cosyvoice2")
    if other:
        yield Finding(
            "warn",
            f"{folder}: {', '.join(other)} not as published",
            "fine for a model of your own; otherwise remove them and type cosy pull cosyvoice2",
        )
    if not absent and not other:
        total = size(sum(file.size for file in FILES))
        yield Finding("ok", f"CosyVoice2-0.5B: {total}, sizes right, small files' checksums too")


CHECKED_BYTES = 100_000_000
"""Larger files are checked by their size: reading 2 GB takes too long."""


def _differs(path: Path, published: File) -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size != published.size:
        return True
    return published.size <= CHECKED_BYTES and _sha256(path) != published.sha256


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
