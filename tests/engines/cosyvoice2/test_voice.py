"""Conditioning out of recordings, with models that stand in for the release's."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import torch

from cosyd.engines.cosyvoice2 import features, layout, onnx_stand_ins, voice
from cosyd.engines.cosyvoice2.features import PromptMelSizes
from cosyd.engines.cosyvoice2.voice import Cloner, Conditioning, Shelf
from cosyd.errors import BadAudio, ModelLoadFailed, ModelNotFound

SIZES = PromptMelSizes()


class Input(NamedTuple):
    name: str


class Fake:
    """A model that gives what it is told, and remembers what it was fed."""

    def __init__(self, inputs: Sequence[str], output: Any) -> None:
        self._inputs = [Input(name) for name in inputs]
        self._output = output
        self.fed: list[Mapping[str, Any]] = []

    def get_inputs(self) -> Sequence[Input]:
        return self._inputs

    def run(self, names: None, feeds: Mapping[str, Any], /) -> Sequence[Any]:
        assert names is None
        self.fed.append(feeds)
        return [self._output]


def _recording(seconds: float = 2.0, rate: int = 22_050) -> bytes:
    noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * rate))
    data = io.BytesIO()
    soundfile.write(data, noise, rate, format="WAV")
    return data.getvalue()


def _fakes(tokens: int) -> tuple[Fake, Fake]:
    encoder = Fake(["input"], np.arange(192, dtype=np.float32)[None])
    tokenizer = Fake(["feats", "feats_length"], np.arange(tokens, dtype=np.int32)[None])
    return encoder, tokenizer


@pytest.mark.parametrize(("tokens", "kept"), [(47, 47), (50, 50), (53, 50)])
def test_mel_and_tokens_are_as_long_as_each_other(tokens: int, kept: int) -> None:
    encoder, tokenizer = _fakes(tokens)
    made = Cloner(encoder, tokenizer, SIZES).make(features.read(_recording()))
    assert made.tokens.tolist() == [list(range(kept))]
    assert made.mel.shape == (1, 2 * kept, 80)
    assert made.embedding.tolist() == [list(range(192))]
    whole = features.prompt_mel(features.read(_recording()).at(24_000), SIZES)
    assert torch.equal(made.mel[0].T, whole[0, :, : 2 * kept])


def test_the_models_get_what_they_were_trained_on() -> None:
    encoder, tokenizer = _fakes(50)
    Cloner(encoder, tokenizer, SIZES).make(features.read(_recording()))
    (heard,) = encoder.fed
    assert heard["input"].shape == (1, 198, 80)
    assert abs(heard["input"].mean(1)).max() < 1e-4
    (read,) = tokenizer.fed
    assert read["feats"].shape == (1, 128, 200)
    assert read["feats_length"].tolist() == [200]
    assert read["feats_length"].dtype == np.int32


def test_no_tokens_are_no_voice() -> None:
    encoder, tokenizer = _fakes(0)
    with pytest.raises(BadAudio, match="no speech"):
        Cloner(encoder, tokenizer, SIZES).make(features.read(_recording()))


def _same(one: Conditioning, other: Conditioning) -> bool:
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        and _type(one, name) == _type(other, name)
        for name in ("tokens", "mel", "embedding")
    )


def _type(made: Conditioning, name: str) -> torch.dtype:
    tensor: torch.Tensor = getattr(made, name)
    return tensor.dtype


def test_what_was_made_is_kept(tmp_path: Path) -> None:
    encoder, tokenizer = _fakes(50)
    cloner = Cloner(encoder, tokenizer, SIZES)
    made = Shelf(tmp_path / "shelf", "a").get(_recording(), cloner)
    again = Shelf(tmp_path / "shelf", "a").get(_recording(), cloner)
    assert _same(made, again)
    assert len(encoder.fed) == 1
    Shelf(tmp_path / "shelf", "b").get(_recording(), cloner)
    Shelf(tmp_path / "shelf", "a").get(_recording(2.5), cloner)
    assert len(encoder.fed) == 3
    assert len(list((tmp_path / "shelf").glob("*.safetensors"))) == 3
    digest = hashlib.sha256(_recording()).hexdigest()  # who removes a recording looks for that
    assert len(list((tmp_path / "shelf").glob(f"{digest}*"))) == 2
    assert (tmp_path / "shelf").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("left", [0, 7, 1000])
def test_a_broken_file_is_made_again(tmp_path: Path, left: int) -> None:
    encoder, tokenizer = _fakes(50)
    cloner, shelf = Cloner(encoder, tokenizer, SIZES), Shelf(tmp_path, "a")
    made = shelf.get(_recording(), cloner)
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:left])
    assert _same(shelf.get(_recording(), cloner), made)
    assert _same(shelf.get(_recording(), cloner), made)
    assert len(encoder.fed) == 2


def test_a_voice_is_made_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    made = Shelf(tmp_path / "file" / "shelf", "a").get(_recording(), Cloner(*_fakes(50), SIZES))
    assert made.tokens.shape == (1, 50)


def test_a_bad_recording_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(BadAudio):
        Shelf(tmp_path / "shelf", "a").get(b"nothing", Cloner(*_fakes(50), SIZES))
    assert not (tmp_path / "shelf").exists()


def _models(folder: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(80, 192)).tolist()
    (folder / layout.SPEAKER_ENCODER).write_bytes(onnx_stand_ins.speaker_encoder(weight))
    (folder / layout.SPEECH_TOKENIZER).write_bytes(onnx_stand_ins.speech_tokenizer(128, 729))


def test_a_releases_models_are_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the release's two models are ONNX")
    _models(tmp_path)
    made = voice.cloner(tmp_path, SIZES).make(features.read(_recording(3.0)))
    assert made.tokens.shape == (1, 75)
    assert made.mel.shape == (1, 150, 80)
    assert made.embedding.shape == (1, 192)
    assert int(made.tokens.min()) >= 0
    assert int(made.tokens.max()) < 729


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=layout.SPEAKER_ENCODER):
        voice.cloner(tmp_path, SIZES)


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08"])
def test_a_broken_model_is_named(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("onnxruntime", reason="the release's two models are ONNX")
    _models(tmp_path)
    (tmp_path / layout.SPEAKER_ENCODER).write_bytes(data)
    with pytest.raises(ModelLoadFailed, match=layout.SPEAKER_ENCODER):
        voice.cloner(tmp_path, SIZES)
