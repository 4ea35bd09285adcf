"""A voicepack: one voice's directory with `metadata.yaml`, read and checked.

Layout: `<root>/<family>/<name>/metadata.yaml` beside the files it names, which are never looked
for outside of it. The YAML is data only (safe loader), every field is checked, and a broken pack
is an error that names the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from cosyd.errors import VoiceNotFound

CAPABILITIES = frozenset(
    {"streaming", "zero_shot", "cross_lingual", "instruct", "text_streaming", "speed"}
)


class BadVoicepack(ValueError):
    """A voicepack that cannot be used; the message names file and field."""


class Prompt(NamedTuple):
    """A recording that a voice is cloned from."""

    name: str
    """What a person picks, as `voice/name`."""
    path: Path
    """The sound file, absolute if the pack's directory is."""
    text: str
    """What is said in it; "": not known, so only its sound can be taken."""


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
    prompts: tuple[Prompt, ...] = ()
    default_prompt: str | None = None
    """Name of the prompt that speaks; `with_prompt` picks another one."""
    speaker: str | None = None
    """Name of a voice inside the weights themselves; such a voice needs no prompt."""

    @property
    def prompt(self) -> Prompt | None:
        """The prompt that speaks; None: the voice has none."""
        named = (prompt for prompt in self.prompts if prompt.name == self.default_prompt)
        return next(named, None)

    def with_prompt(self, name: str) -> Voicepack:
        """The same voice speaking as its prompt `name`.

        Raises:
            VoiceNotFound: it has no such prompt; names those there are.
        """
        if all(prompt.name != name for prompt in self.prompts):
            raise VoiceNotFound(f"{self.name} has no prompt {name!r}: {self._choices()}")
        return replace(self, default_prompt=name)

    def _choices(self) -> str:
        names = [f"{self.name}/{prompt.name}" for prompt in self.prompts]
        return f"there is {', '.join(names)}" if names else f"it has none, say {self.name} alone"


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


def _text(data: Mapping[str, Any], key: str, file: Path) -> str | None:
    """A string that may be missing."""
    return None if data.get(key) is None else str(_field(data, key, str, file))


def _prompts(data: Mapping[str, Any], file: Path) -> tuple[Prompt, ...]:
    available = _field(data, "available", list, file, [])
    if not all(isinstance(entry, dict) for entry in available):
        raise BadVoicepack(f"{file}: 'prompts.available' must be a list of maps")
    return tuple(_prompt(entry, file) for entry in available)


def _prompt(entry: Mapping[str, Any], file: Path) -> Prompt:
    inner = Path(_field(entry, "path", str, file))
    if inner.is_absolute() or ".." in inner.parts:
        raise BadVoicepack(f"{file}: prompt {str(inner)!r} must be inside the voicepack")
    name = _field(entry, "name", str, file)
    return Prompt(name, file.parent / inner, _field(entry, "text", str, file, ""))


def _default_prompt(data: Mapping[str, Any], prompts: tuple[Prompt, ...], file: Path) -> str | None:
    default = _text(data, "default", file) or (prompts[0].name if prompts else None)
    if default is not None and default not in [prompt.name for prompt in prompts]:
        raise BadVoicepack(f"{file}: there is no prompt {default!r}")
    return default


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
    name = _field(data, "name", str, file, path.name)
    if "/" in name:
        raise BadVoicepack(f"{file}: 'name' must have no '/': a prompt's name is behind that")
    prompts_data = _field(data, "prompts", dict, file, {})
    prompts = _prompts(prompts_data, file)
    return Voicepack(
        name=name,
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
        prompts=prompts,
        default_prompt=_default_prompt(prompts_data, prompts, file),
        speaker=_text(data, "speaker", file),
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
