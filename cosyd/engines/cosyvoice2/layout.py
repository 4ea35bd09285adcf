"""The release's folder: which files it holds, and the numbers of its settings. Needs no torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from cosyd.errors import ModelLoadFailed, ModelNotFound

YAML: Final = "cosyvoice2.yaml"
LLM: Final = "llm.pt"
FLOW: Final = "flow.pt"
HIFT: Final = "hift.pt"
QWEN: Final = "CosyVoice-BlankEN"
QWEN_CONFIG: Final = f"{QWEN}/config.json"
VOCAB: Final = f"{QWEN}/vocab.json"
MERGES: Final = f"{QWEN}/merges.txt"
SPEAKERS: Final = "spk2info.pt"
SPEAKER_ENCODER: Final = "campplus.onnx"
SPEECH_TOKENIZER: Final = "speech_tokenizer_v2.onnx"

SPEAKING: Final = (YAML, LLM, FLOW, HIFT, QWEN_CONFIG, VOCAB, MERGES)
"""Without one of these nothing is said. QWEN's own weights are not among them: `LLM` holds all."""
CLONING: Final = (SPEAKER_ENCODER, SPEECH_TOKENIZER)
"""What makes a voice of a recording; voices made before do without."""

PULL: Final = "cosy pull cosyvoice2"
"""What to type when the release is not there or broken: it fetches only what is needed."""

_MAX_TEXT_BYTES: Final = 1 << 20
_REFERENCE = re.compile(r"<(\w+)>")


def missing(folder: Path, files: tuple[str, ...] = SPEAKING) -> list[str]:
    """Those of `files` that are not in `folder`."""
    return [file for file in files if not (folder / file).is_file()]


def check(folder: Path, files: tuple[str, ...] = SPEAKING) -> None:
    """Say which files are missing.

    Raises:
        ModelNotFound: the folder or files in it are not there; the message names them.
    """
    if not folder.is_dir():
        raise ModelNotFound(f"the weights are not on this machine ({folder}): {PULL}")
    absent = missing(folder, files)
    if absent:
        raise ModelNotFound(f"{folder}: {', '.join(absent)} missing: {PULL}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers of `YAML` and `QWEN_CONFIG`; everything else in them is left unread."""

    release: Mapping[str, Any]
    """`YAML` as plain maps, its constructor tags dropped."""
    qwen: Mapping[str, Any]
    """`QWEN_CONFIG`."""

    def number(self, path: str, default: float | None = None) -> float:
        """The number at a dotted path of the yaml, such as "flow.encoder.linear_units".

        Raises:
            ModelLoadFailed: there is none, and no default.
        """
        return _finite(self._at(self.release, path, YAML, default), YAML, path)

    def integer(self, path: str, default: int | None = None) -> int:
        """The whole, positive number at a dotted path of the yaml. Raises as `number`."""
        return _whole(self.number(path, default), YAML, path)

    def integers(self, path: str) -> tuple[int, ...]:
        """The list of whole, positive numbers at a dotted path of the yaml. Raises as `number`."""
        values = self._at(self.release, path, YAML, None)
        if not isinstance(values, list) or not values:
            raise ModelLoadFailed(f"{YAML}: {path} is no list of numbers: {PULL}")
        return tuple(_whole(_finite(value, YAML, path), YAML, path) for value in values)

    def integer_lists(self, path: str) -> tuple[tuple[int, ...], ...]:
        """The list of lists of whole, positive numbers. Raises as `number`."""
        values = self._at(self.release, path, YAML, None)
        if not isinstance(values, list) or not all(isinstance(value, list) for value in values):
            raise ModelLoadFailed(f"{YAML}: {path} is no list of lists: {PULL}")
        return tuple(
            tuple(_whole(_finite(number, YAML, path), YAML, path) for number in value)
            for value in values
        )

    def qwen_number(self, name: str, default: float | None = None) -> float:
        """A number of `QWEN_CONFIG`. Raises as `number`."""
        return _finite(self._at(self.qwen, name, QWEN_CONFIG, default), QWEN_CONFIG, name)

    def qwen_integer(self, name: str, default: int | None = None) -> int:
        """A whole, positive number of `QWEN_CONFIG`. Raises as `number`."""
        return _whole(self.qwen_number(name, default), QWEN_CONFIG, name)

    def _at(self, values: Mapping[str, Any], path: str, file: str, default: Any) -> Any:
        found: Any = values
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, _Reference):
            found = self._resolve(found.text)
        if found is None:
            found = default
        if found is None:
            raise ModelLoadFailed(f"{file}: no number {path}: {PULL}")
        return found

    def _resolve(self, text: str) -> float | None:
        """A reference's number: "<name>" of the top level, or a product of such and numbers."""
        product = 1.0
        for factor in text.split("*"):
            match = _REFERENCE.fullmatch(factor.strip())
            value = self.release.get(match[1]) if match else factor.strip()
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                return None
            try:
                product *= float(value)
            except ValueError:
                return None
        return product


def read_settings(folder: Path) -> Settings:
    """Read the numbers of a release.

    Raises:
        ModelNotFound: a file is not there.
        ModelLoadFailed: one is no yaml or JSON, or its top level is no map.
    """
    check(folder, (YAML, QWEN_CONFIG))
    try:
        release = yaml.load(_text(folder / YAML), Loader=_Plain)  # a SafeLoader's heir
        qwen = json.loads(_text(folder / QWEN_CONFIG))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "no yaml"
        raise ModelLoadFailed(f"{folder / YAML}: {problem}: {PULL}") from error
    except ValueError as error:
        raise ModelLoadFailed(f"{folder / QWEN_CONFIG}: no JSON: {PULL}") from error
    except RecursionError as error:
        raise ModelLoadFailed(f"{folder}: settings nested too deep: {PULL}") from error
    for name, values in ((YAML, release), (QWEN_CONFIG, qwen)):
        if not isinstance(values, dict):
            raise ModelLoadFailed(f"{folder / name}: no settings in it: {PULL}")
    return Settings(release, qwen)


class _Reference:
    """A `!ref`: resolved when its number is asked for, since most of them are no numbers."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Plain(yaml.SafeLoader):
    """Reads every tagged node as what it is without its tag; constructs nothing."""


def _plain(loader: _Plain, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    text = loader.construct_scalar(node)
    return _Reference(str(text)) if tag == "ref" else text


_Plain.add_multi_constructor("!", _plain)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_TEXT_BYTES + 1)
        if len(data) > _MAX_TEXT_BYTES:
            raise ModelLoadFailed(f"{path}: larger than 1 MiB: {PULL}")
        return data.decode("utf-8")
    except OSError as error:
        raise ModelLoadFailed(f"{path}: {error.strerror}: mend that, or {PULL}") from error
    except UnicodeDecodeError as error:
        raise ModelLoadFailed(f"{path}: no text: {PULL}") from error


def _finite(value: Any, file: str, path: str) -> float:
    """A number as float; yaml 1.1 reads `1e-06` as text, so text that is a number is one."""
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise ModelLoadFailed(f"{file}: {path} is no number: {PULL}")
    return number


def _whole(number: float, file: str, path: str) -> int:
    if number < 1 or number != int(number):
        raise ModelLoadFailed(f"{file}: {path} is {number:g}, not a whole number above 0.")
    return int(number)
