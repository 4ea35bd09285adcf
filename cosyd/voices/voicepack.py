"""A voicepack: one voice's directory with `metadata.yaml`, read and checked.

Layout: `<root>/<family>/<name>/metadata.yaml` beside the files it names. The YAML is data only
(safe loader), every field is checked, and a broken pack is an error that names the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAPABILITIES = frozenset(
    {"streaming", "zero_shot", "cross_lingual", "instruct", "text_streaming", "speed"}
)


class BadVoicepack(ValueError):
    """A voicepack that cannot be used; the message names file and field."""


@dataclass(frozen=True, slots=True)
class Voicepack:
    """One voice."""

    name: str
    """What a person picks."""
    engine: str
    """`family` of the manifest: the engine that speaks it."""
    model: str
    """`model_id` of the manifest: the weights it needs."""
    path: Path
    """The pack's directory."""
    description: str
    languages: tuple[str, ...]
    """BCP 47 tags, the voice's own language first."""
    capabilities: tuple[str, ...]
    sample_rate: int
    """Hz, of the model's own output."""
    license: str
    version: str = "1"
    tags: tuple[str, ...] = ()
    loudness_lufs: float | None = None
    """Integrated loudness of the raw voice (BS.1770), measured once; None: unknown."""


def _field(data: Mapping[str, Any], key: str, kind: type, file: Path, default: Any = None) -> Any:
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise BadVoicepack(f"{file}: {key!r} must be {kind.__name__}")
    return value


def _strings(data: Mapping[str, Any], key: str, file: Path) -> tuple[str, ...]:
    values = _field(data, key, list, file, [])
    if not all(isinstance(value, str) for value in values):
        raise BadVoicepack(f"{file}: {key!r} must be a list of strings")
    return tuple(values)


def parse(data: object, path: Path) -> Voicepack:
    """The voicepack in directory `path` whose manifest's YAML is `data`.

    Raises:
        BadVoicepack: a field is missing or of the wrong kind.
    """
    file = path / "metadata.yaml"
    if not isinstance(data, dict):
        raise BadVoicepack(f"{file}: not a map")
    audio = _field(data, "audio", dict, file, {})
    loudness = audio.get("loudness_lufs")
    if isinstance(loudness, bool) or not isinstance(loudness, int | float | None):
        raise BadVoicepack(f"{file}: 'audio.loudness_lufs' must be a number")
    capabilities = _strings(data, "capabilities", file)
    if unknown := set(capabilities) - CAPABILITIES:
        raise BadVoicepack(f"{file}: unknown capability {sorted(unknown)[0]!r}")
    return Voicepack(
        name=_field(data, "name", str, file, path.name),
        engine=_field(data, "family", str, file),
        model=_field(data, "model_id", str, file),
        path=path,
        description=_field(data, "description", str, file, ""),
        languages=_strings(data, "languages", file),
        capabilities=capabilities,
        sample_rate=_field(audio, "sample_rate", int, file),
        license=_field(data, "license", str, file),
        version=str(data.get("version", "1")),
        tags=_strings(data, "tags", file),
        loudness_lufs=None if loudness is None else float(loudness),
    )


def load(path: Path) -> Voicepack:
    """Read the voicepack in directory `path`.

    Raises:
        BadVoicepack: the manifest is missing, is not YAML or lacks a field.
    """
    import yaml  # 10 ms; only who reads manifests pays for it

    file = path / "metadata.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        data = yaml.load(file.read_bytes(), Loader=loader)
    except (OSError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise BadVoicepack(f"{file}: {reason}") from error
    return parse(data, path)
