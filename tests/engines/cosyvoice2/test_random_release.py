"""A random release has a real one's files, names and shapes; its ONNX models run."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from cosyd.engines.cosyvoice2 import (
    flow,
    layout,
    lm,
    onnx_stand_ins,
    random_release,
    shapes,
    wave,
)
from cosyd.engines.cosyvoice2.flow import FlowSizes
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.layout import Settings, read_settings
from cosyd.engines.cosyvoice2.lm import LmSizes
from cosyd.engines.cosyvoice2.release import Release
from cosyd.engines.cosyvoice2.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"

# sha256 over the sorted names, each with a zero byte, its number of dimensions and the dimensions
# as little-endian u64, of the files published at Hugging Face (FunAudioLLM/CosyVoice2-0.5B,
# revision eec1ae6c79877dbd9379285cf8789c9e0879293d).
PUBLISHED = {
    layout.LLM: (295, "07cf10ae088c27a7c88e1c08fb231d00b01bba0c13f312a74d2fd4b35403bda2"),
    layout.FLOW: (1121, "68abcdcdc961091b9c9e6456146ac9da06cda9f86e45a8faaac22a3b0b26217d"),
    layout.HIFT: (328, "cecbb2d68f91337f263db0f0333c75573516e7087b6e75d6ea647b3f86afec7c"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "release"
    assert random_release.main([str(folder), "--tiny"]) == 0
    return folder


def by_file(settings: Settings) -> dict[str, shapes.Shapes]:
    return {
        layout.LLM: shapes.llm(settings),
        layout.FLOW: shapes.flow(settings),
        layout.HIFT: shapes.hift(settings),
    }


def digest(names: shapes.Shapes) -> str:
    total = hashlib.sha256()
    for name, shape in sorted(names.items()):
        total.update(name.encode() + b"\0" + struct.pack(f"<{1 + len(shape)}Q", len(shape), *shape))
    return total.hexdigest()


def test_names_and_shapes_are_the_published_ones(tmp_path: Path) -> None:
    random_release.write_settings(tmp_path, random_release.FULL)
    made = by_file(read_settings(tmp_path))
    assert {file: (len(names), digest(names)) for file, names in made.items()} == PUBLISHED


def test_names_and_shapes_follow_the_settings() -> None:
    for file, names in by_file(read_settings(GOLDEN)).items():
        state = torch.load(GOLDEN / file, weights_only=True)
        assert {name: tuple(tensor.shape) for name, tensor in state.items()} == names


def test_it_is_a_release(tiny: Path) -> None:
    layout.check(tiny, (*layout.SPEAKING, *layout.CLONING, layout.SPEAKERS))
    release = Release(tiny, cache=tiny)
    expected = by_file(release.settings)
    assert set(release.llm()) == set(expected[layout.LLM])
    assert set(release.flow()) == set(expected[layout.FLOW])
    assert "conv_pre.weight" in release.hift()
    (speaker,) = release.speakers().values()
    assert speaker.prompt_mel is not None
    assert speaker.prompt_mel.shape == (1, 150, 80)


def test_every_part_takes_all_its_tensors(tiny: Path) -> None:
    release = Release(tiny, cache=tiny)
    cpu, exact = torch.device("cpu"), torch.float32
    lm.load(release.llm(), LmSizes.read(release.settings), device=cpu, dtype=exact)
    flow.load(release.flow(), FlowSizes.read(release.settings), device=cpu, dtype=exact)
    wave.load(release.hift(), HiftSizes.read(release.settings), device=cpu, dtype=exact)
    assert Tokenizer.load(tiny / layout.QWEN).encode("Hi")


def test_it_says_that_it_does_not_speak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert random_release.main([str(tmp_path), "--tiny"]) == 0
    assert "does not speak" in capsys.readouterr().out


def test_the_seed_makes_the_weights(tiny: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        random_release.write(tmp_path / name, random_release.TINY, seed=seed)
    first, again, other = (
        torch.load(folder / layout.HIFT, weights_only=True)["conv_pre.bias"]
        for folder in (tiny, tmp_path / "a", tmp_path / "b")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_head_is_stored_once(tiny: Path) -> None:
    state = torch.load(tiny / layout.LLM, weights_only=True)
    head, embedding = (
        state[f"llm.model.{name}.weight"] for name in ("lm_head", "model.embed_tokens")
    )
    assert head.data_ptr() == embedding.data_ptr()


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert random_release.main([str(tmp_path / "file"), "--tiny"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_tokenizer_has_the_ranks_and_the_bytes(tiny: Path) -> None:
    vocabulary = json.loads((tiny / layout.VOCAB).read_text(encoding="utf-8"))
    merges = (tiny / layout.MERGES).read_text(encoding="utf-8").splitlines()[1:]
    assert sorted(vocabulary.values()) == list(range(random_release.TINY.text_ranks))
    assert len(merges) == random_release.TINY.text_ranks - 256
    assert all(line.replace(" ", "") in vocabulary for line in merges)
    assert vocabulary["!"] == 0
    assert "Ġ" in vocabulary  # how byte-level BPE writes a space


def test_the_full_tokenizer_has_all_ranks(tmp_path: Path) -> None:
    random_release.write_settings(tmp_path, random_release.FULL)
    vocabulary = json.loads((tmp_path / layout.VOCAB).read_text(encoding="utf-8"))
    assert sorted(vocabulary.values()) == list(range(151_643))


def test_the_speaker_encoder_is_the_mean_times_its_weight() -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs the ONNX models")
    weight = np.random.default_rng(0).standard_normal((80, 192)).astype(np.float32)
    model = onnxruntime.InferenceSession(
        onnx_stand_ins.speaker_encoder(weight.tolist()), providers=["CPUExecutionProvider"]
    )
    assert [value.name for value in model.get_inputs()] == ["input"]
    features = np.random.default_rng(1).standard_normal((2, 37, 80)).astype(np.float32)
    (embedding,) = model.run(None, {"input": features})
    # float32 sums of 37 × 80 terms against numpy's
    np.testing.assert_allclose(embedding, features.mean(axis=1) @ weight, atol=1e-5)


@pytest.mark.parametrize(("frames", "length"), [(400, 400), (401, 401), (3, 3), (120, 101)])
def test_the_speech_tokenizer_gives_a_token_for_four_frames(frames: int, length: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="runs the ONNX models")
    model = onnxruntime.InferenceSession(
        onnx_stand_ins.speech_tokenizer(128, 729), providers=["CPUExecutionProvider"]
    )
    mel, size = model.get_inputs()
    assert (mel.shape[:2], size.type) == ([1, 128], "tensor(int32)")
    features = np.random.default_rng(2).standard_normal((1, 128, frames)).astype(np.float32)
    (ids,) = model.run(None, {mel.name: features, size.name: np.array([length], np.int32)})
    assert ids.shape == (1, -(-length // 4))
    assert ids.min() >= 0
    assert ids.max() < 729
    assert len(set(ids[0])) > ids.shape[1] // 2
