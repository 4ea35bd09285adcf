"""A prompt's recording → the tensors that make the model speak in that voice.

recording → speech tokens and mel, as long as each other, and an embedding of the speaker. The
release's two ONNX models make the first and the last; what came out is kept on disk, under the
hash of what went in.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch

from cosyd.engines.cosyvoice2 import DESCRIPTOR, converted, features, layout
from cosyd.engines.cosyvoice2.features import FEATURE_RATE, PromptMelSizes, Recording
from cosyd.errors import BadAudio, EngineNotInstalled, ModelLoadFailed

if TYPE_CHECKING:
    from torch import Tensor

_FORMAT: Final = "1"
"""Raised whenever the same recording would give other tensors."""


class Port(Protocol):
    """One input of a model."""

    @property
    def name(self) -> str:
        """What to feed it under."""


class Session(Protocol):
    """A loaded ONNX model; `onnxruntime.InferenceSession` is one."""

    def get_inputs(self) -> Sequence[Port]:
        """Its inputs, in order."""

    def run(self, names: None, feeds: Mapping[str, np.ndarray[Any, Any]], /) -> Sequence[Any]:
        """Its outputs, in order."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What is known of a voice.

    Attributes:
        tokens: int64 `[1, P]`, the recording's speech tokens.
        mel: float32 `[1, ratio * P, mel]`, the recording's mel.
        embedding: float32 `[1, speaker]`.
    """

    tokens: Tensor
    mel: Tensor
    embedding: Tensor


class Maker(Protocol):
    """Makes conditioning of recordings; a `Cloner` is one."""

    def make(self, recording: Recording, /) -> Conditioning:
        """See `Cloner.make`."""


class Cloner:
    """Makes conditioning of recordings.

    Args:
        speaker_encoder: `[1, T, 80]` → `[1, speaker]`.
        speech_tokenizer: `[1, 128, T]` and int32 `[1]`, its T → `[1, tokens]`.
        sizes: of the prompt's mel.
        ratio: mel frames in a speech token.
    """

    def __init__(
        self,
        speaker_encoder: Session,
        speech_tokenizer: Session,
        sizes: PromptMelSizes,
        *,
        ratio: int = 2,
    ) -> None:
        self._speaker_encoder = speaker_encoder
        self._speech_tokenizer = speech_tokenizer
        self._sizes = sizes
        self._ratio = ratio

    def make(self, recording: Recording) -> Conditioning:
        """The conditioning of a recording.

        Raises:
            BadAudio: the tokenizer finds no speech in it.
        """
        low = recording.at(FEATURE_RATE)
        tokens = self._tokens(features.token_mel(low))
        high = recording.at(self._sizes.sampling_rate)
        mel = features.prompt_mel(high, self._sizes).transpose(1, 2)
        count = min(mel.shape[1] // self._ratio, tokens.shape[1])
        if not count:
            raise BadAudio("there is no speech in the recording: give one of a voice")
        return Conditioning(
            tokens[:, :count], mel[:, : count * self._ratio].contiguous(), self._embedding(low)
        )

    def _tokens(self, mel: Tensor) -> Tensor:
        length = np.array([mel.shape[2]], np.int32)
        (tokens, *_) = _run(self._speech_tokenizer, mel.numpy(), length)
        return torch.from_numpy(np.asarray(tokens)).to(torch.int64).reshape(1, -1)

    def _embedding(self, wave: Tensor) -> Tensor:
        (embedding, *_) = _run(self._speaker_encoder, features.speaker_bank(wave)[None].numpy())
        return torch.from_numpy(np.asarray(embedding)).float().reshape(1, -1)


def _run(session: Session, *arrays: np.ndarray[Any, Any]) -> Sequence[Any]:
    names = [port.name for port in session.get_inputs()]
    return session.run(None, dict(zip(names, arrays, strict=True)))


def cloner(folder: Path, sizes: PromptMelSizes, *, ratio: int = 2) -> Cloner:
    """A cloner of a release's own two models, on the CPU: they run once per voice.

    Raises:
        ModelNotFound: one of the files is missing.
        ModelLoadFailed: one is no ONNX model.
        EngineNotInstalled: onnxruntime is missing.
    """
    layout.check(folder, layout.CLONING)
    encoder, tokenizer = (folder / layout.SPEAKER_ENCODER, folder / layout.SPEECH_TOKENIZER)
    return Cloner(_session(encoder), _session(tokenizer), sizes, ratio=ratio)


def _session(path: Path) -> Session:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise EngineNotInstalled(f"onnxruntime is missing: {DESCRIPTOR.install}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it would write to stderr what the exceptions say
    try:
        session: Session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.RuntimeException,
    ) as error:
        raise ModelLoadFailed(f"{path}: no ONNX model: cosy pull cosyvoice2") from error
    return session


class Shelf:
    """Conditioning on disk, one file to a recording; a broken file is made again.

    A file's name begins with its recording's sha256: who removes a recording finds what was made
    of it.

    Args:
        folder: where the files are; made when it is first written to.
        model: names the models' version: other models, other files.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._stamp = {"cosyd": _FORMAT, "model": model}

    def get(self, data: bytes, maker: Maker) -> Conditioning:
        """The conditioning of the WAV, FLAC, OGG or MP3 file `data`, made now if it is not here.

        Raises:
            BadAudio: the file is unreadable, too short, too long, silent or without speech.
        """
        stamp = {**self._stamp, "recording": hashlib.sha256(data).hexdigest()}
        version = hashlib.sha256("\n".join(stamp.values()).encode()).hexdigest()[:16]
        path = self._folder / f"{stamp['recording']}-{version}.safetensors"
        kept = converted.read(path, stamp)
        if kept is not None and kept.keys() == {"tokens", "mel", "embedding"}:
            return Conditioning(kept["tokens"].to(torch.int64), kept["mel"], kept["embedding"])
        made = maker.make(features.read(data))
        with contextlib.suppress(OSError):  # no permission, no space: it is made again next time
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it is somebody's voice
            converted.write(path, _tensors(made), stamp)
        return made


def _tensors(made: Conditioning) -> dict[str, Tensor]:
    """By name; the tokens as floats, which hold them exactly, as the format's writer has no int."""
    return {"tokens": made.tokens.double(), "mel": made.mel, "embedding": made.embedding}
