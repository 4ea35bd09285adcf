"""A release of CosyVoice 2 as it is published: its folder checked, its tensors read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from cosyd import config
from cosyd.engines.cosyvoice2 import checkpoint, converted, layout, lm
from cosyd.engines.cosyvoice2.checkpoint import fold_weight_norm, strip_generator
from cosyd.engines.cosyvoice2.layout import Settings, read_settings
from cosyd.errors import ModelLoadFailed
from cosyd.paths import config_file, data_dir

__all__ = ["Release", "Settings", "Speaker", "fold_weight_norm", "read_settings"]

BESIDE: Final = ".cosyd"
"""The folder inside the release that the converted checkpoints go to."""
Change = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice of `spk2info.pt`; what it lacks is None.

    A voice for SFT has an embedding only; one made of a recording has everything.
    """

    name: str
    embedding: Tensor
    """float [1, 192]: what the flow gets."""
    prompt_text: Tensor | None = None
    """int [1, text tokens]"""
    llm_tokens: Tensor | None = None
    """int [1, speech tokens]: the recording, for the language model."""
    flow_tokens: Tensor | None = None
    """int [1, speech tokens]: the recording, for the flow."""
    prompt_mel: Tensor | None = None
    """float [1, mel frames, 80]: the recording, for the flow."""


class Release:
    """A release's folder, opened. Every call reads anew; nothing is kept.

    Args:
        folder: where the files are.
        cache: where converted checkpoints go when the folder cannot be written; None: a place
            of its own in cosyd's data directory.

    Raises:
        ModelNotFound: files are missing; the message names them.
        ModelLoadFailed: the settings are unreadable.
    """

    __slots__ = ("_cache", "folder", "settings")

    def __init__(self, folder: Path, *, cache: Path | None = None) -> None:
        layout.check(folder)
        self.folder = folder
        self.settings = read_settings(folder)
        self._cache = cache or _own_place(folder)

    def llm(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The language model's tensors, by the release's names.

        `llm.pt` holds the whole model, so the weights in `CosyVoice-BlankEN` are never read.

        Args:
            dtype: `torch.int8`: as `lm.with_int8` makes them; any other: as released.

        Raises:
            ModelNotFound, ModelLoadFailed: the file is missing, truncated or of another model.
        """
        if dtype == torch.int8:
            return self._tensors(layout.LLM, lm.with_int8, ".int8")
        return self._tensors(layout.LLM)

    def flow(self) -> dict[str, Tensor]:
        """The flow's tensors. Raises as `llm`."""
        return self._tensors(layout.FLOW)

    def hift(self) -> dict[str, Tensor]:
        """The vocoder's tensors, weight norm folded, no `generator.` prefix. Raises as `llm`."""
        return self._tensors(layout.HIFT)

    def speakers(self) -> dict[str, Speaker]:
        """The voices of `spk2info.pt`, by name; none where the release has no such file.

        Raises:
            ModelLoadFailed: the file is broken, or a voice in it is.
        """
        path = self.folder / layout.SPEAKERS
        return read_speakers(path) if path.exists() else {}

    def _tensors(
        self, file: str, change: Change | None = None, variant: str = ""
    ) -> dict[str, Tensor]:
        source = self.folder / file
        layout.check(self.folder, (file,))
        places = (self.folder / BESIDE, self._cache)

        def convert() -> dict[str, Tensor]:
            tensors = _convert(source)
            return change(tensors) if change else tensors

        return converted.load(source, places, convert, variant=variant)


def _convert(source: Path) -> dict[str, Tensor]:
    tensors = checkpoint.tensors(source)
    if source.name == layout.HIFT:
        tensors = strip_generator(tensors)
    folded = fold_weight_norm(tensors, source.name)
    checkpoint.check_numbers(folded, source.name)
    return folded


def _own_place(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    settings = config.load(os.environ, file=config_file(os.environ))
    return data_dir(settings) / "converted" / name


def read_speakers(path: Path) -> dict[str, Speaker]:
    """The voices of a `spk2info.pt`. Raises as `Release.speakers`."""
    voices = checkpoint.load(path)
    if not isinstance(voices, Mapping):
        raise ModelLoadFailed(f"{path}: no voices in it: delete it, then {layout.PULL}")
    return {str(name): _speaker(path, str(name), info) for name, info in voices.items()}


def _speaker(path: Path, name: str, info: object) -> Speaker:
    if not isinstance(info, Mapping):
        raise ModelLoadFailed(f"{path}: {name} is no voice: delete it, then {layout.PULL}")
    embedding = next(
        (info[key] for key in ("flow_embedding", "embedding", "llm_embedding") if key in info), None
    )
    if not isinstance(embedding, Tensor) or embedding.dim() != 2 or len(embedding) != 1:
        raise ModelLoadFailed(f"{path}: {name} has no embedding: delete it, then {layout.PULL}")
    return Speaker(
        name,
        embedding,
        _part(path, name, info, "prompt_text", 2),
        _part(path, name, info, "llm_prompt_speech_token", 2),
        _part(path, name, info, "flow_prompt_speech_token", 2),
        _part(path, name, info, "prompt_speech_feat", 3),
    )


def _part(
    path: Path, name: str, info: Mapping[str, object], key: str, dimensions: int
) -> Tensor | None:
    """A voice's array, cut to its length where that is given."""
    array, length = info.get(key), info.get(f"{key}_len")
    if array is None:
        return None
    if not isinstance(array, Tensor) or array.dim() != dimensions or len(array) != 1:
        raise ModelLoadFailed(f"{path}: {name}: {key} is broken: delete it, then {layout.PULL}")
    return array[:, : int(length)] if isinstance(length, Tensor) and length.numel() == 1 else array
