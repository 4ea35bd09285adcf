"""A release's folder: what is missing or broken is named, what is there is read as published."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import checkpoint, converted, layout
from cosyd.engines.cosyvoice2.checkpoint import fold_weight_norm
from cosyd.engines.cosyvoice2.release import BESIDE, Release
from cosyd.errors import ModelLoadFailed, ModelNotFound

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "release"
    for file in (*layout.SPEAKING, layout.SPEAKERS):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(GOLDEN / file, target / file)
    return target


@pytest.fixture
def release(folder: Path, tmp_path: Path) -> Release:
    return Release(folder, cache=tmp_path / "cache")


# the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize("file", layout.SPEAKING)
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelNotFound, match=f"{file} missing"):
        Release(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="not on this machine"):
        Release(tmp_path / "nowhere")


def test_a_file_that_goes_later_is_named(release: Release) -> None:
    (release.folder / layout.FLOW).unlink()
    with pytest.raises(ModelNotFound, match=r"flow\.pt missing"):
        release.flow()


# checkpoints -----------------------------------------------------------------------------


def old(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The older spelling, with training's prefix."""
    renamed = {}
    for name, tensor in state.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        renamed[f"generator.{name}"] = tensor
    return renamed


def direct(name: str) -> dict[str, Tensor]:
    state = torch.load(GOLDEN / name, weights_only=True)
    assert isinstance(state, dict)
    return fold_weight_norm(state, name)


READERS: dict[str, Callable[[Release], dict[str, Tensor]]] = {
    layout.LLM: Release.llm,
    layout.FLOW: Release.flow,
    layout.HIFT: Release.hift,
}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


@pytest.mark.parametrize("file", READERS)
def test_first_converted_then_mapped(release: Release, file: str) -> None:
    place = release.folder / BESIDE / f"{Path(file).stem}.safetensors"
    assert not place.exists()
    assert same(READERS[file](release), direct(file))
    made = place.stat()
    assert same(READERS[file](release), direct(file))
    assert place.stat().st_mtime_ns == made.st_mtime_ns
    assert {path.name for path in place.parent.iterdir()} == {".gitignore", place.name}


def test_the_old_spelling_with_the_prefix_is_the_same(release: Release) -> None:
    new = release.hift()
    state = torch.load(release.folder / layout.HIFT, weights_only=True)
    torch.save(old(state), release.folder / layout.HIFT)
    assert same(release.hift(), new)


def test_a_file_of_before_zip_is_read(release: Release) -> None:
    state = torch.load(release.folder / layout.HIFT, weights_only=True)
    path = release.folder / layout.HIFT
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert same(release.hift(), direct(layout.HIFT))


def test_tied_tensors_share_memory(release: Release) -> None:
    for _ in ("converting", "converted"):
        tensors = release.llm()
        embedding = tensors["llm.model.model.embed_tokens.weight"]
        assert tensors["llm.model.lm_head.weight"].data_ptr() == embedding.data_ptr()
    stored = (release.folder / BESIDE / "llm.safetensors").stat().st_size
    assert stored < (release.folder / layout.LLM).stat().st_size + 8192


def test_blank_weights_are_not_needed(release: Release) -> None:
    assert not (release.folder / layout.QWEN / "model.safetensors").exists()
    assert "llm.model.model.norm.weight" in release.llm()


def change(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    state["conv_pre.bias"] += 1
    torch.save(state, path)


def test_another_source_is_converted_again(release: Release) -> None:
    before = release.hift()["conv_pre.bias"].clone()
    change(release.folder / layout.HIFT)
    assert torch.equal(release.hift()["conv_pre.bias"], before + 1)


def test_a_touched_source_is_converted_again(release: Release) -> None:
    release.hift()
    source = release.folder / layout.HIFT
    place = release.folder / BESIDE / "hift.safetensors"
    os.utime(source, ns=(1, 1))
    stale = place.stat().st_ino
    assert same(release.hift(), direct(layout.HIFT))
    assert place.stat().st_ino != stale


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "folder"])
def test_a_broken_converted_file_is_made_again(release: Release, damage: str) -> None:
    release.hift()
    place = release.folder / BESIDE / "hift.safetensors"
    data = place.read_bytes()
    place.unlink()
    if damage == "folder":
        place.mkdir()
    else:
        place.write_bytes({"cut": data[:-1], "empty": b"", "garbage": b"x" * 99}[damage])
    assert same(release.hift(), direct(layout.HIFT))
    assert place.is_dir() or place.read_bytes() == data


def test_where_beside_cannot_be_written_the_cache_is(release: Release, tmp_path: Path) -> None:
    (release.folder / BESIDE).write_text("in the way", encoding="utf-8")
    assert same(release.hift(), direct(layout.HIFT))
    assert (tmp_path / "cache" / "hift.safetensors").exists()
    assert same(release.hift(), direct(layout.HIFT))


def test_where_nothing_can_be_written_it_is_read_all_the_same(
    release: Release, tmp_path: Path
) -> None:
    for place in (release.folder / BESIDE, tmp_path / "cache"):
        place.write_text("in the way", encoding="utf-8")
    assert same(release.hift(), direct(layout.HIFT))
    assert same(release.llm(), direct(layout.LLM))


def test_the_data_directory_is_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSYD_DATA_DIR", str(tmp_path / "data"))
    (folder / BESIDE).write_text("in the way", encoding="utf-8")
    Release(folder).hift()
    assert len(list((tmp_path / "data" / "converted").glob("*/hift.safetensors"))) == 1


def test_a_full_disk_leaves_nothing_behind(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert same(release.hift(), direct(layout.HIFT))
    for place in (release.folder / BESIDE, tmp_path / "cache"):
        assert [path.name for path in place.iterdir()] == [".gitignore"]


def test_what_a_killed_conversion_left_is_swept(release: Release) -> None:
    place = release.folder / BESIDE
    place.mkdir()
    for name in ("hift.old.part", "hift.new.part", "flow.old.part"):
        (place / name).touch()
        if "old" in name:
            os.utime(place / name, (1, 1))
    release.hift()
    names = {path.name for path in place.iterdir()}
    assert names == {"hift.safetensors", "hift.new.part", "flow.old.part"}
    assert (place / "hift.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_source_changed_while_it_was_read_is_not_kept(folder: Path, tmp_path: Path) -> None:
    source = folder / layout.HIFT

    def convert() -> dict[str, Tensor]:
        tensors = checkpoint.tensors(source)
        os.utime(source, ns=(1, 1))
        return tensors

    assert converted.load(source, [tmp_path / "cache"], convert)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_number_types_and_shapes_survive(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "scalar": torch.tensor(1.5, dtype=dtype),
        "empty": torch.zeros(0, 3, dtype=dtype),
        "empty too": torch.zeros(0, 3, dtype=dtype),
        "turned": torch.arange(6.0).reshape(2, 3).to(dtype).T,
        "odd": torch.arange(3.0).to(torch.float16),
        "view": torch.arange(9.0).to(dtype)[2:5],
    }
    converted.write(tmp_path / "x.safetensors", tensors, {"a": "b"})
    again = converted.read(tmp_path / "x.safetensors", {"a": "b"})
    assert again is not None
    assert same(again, tensors)
    assert all(again[name].dtype == tensors[name].dtype for name in tensors)
    assert converted.read(tmp_path / "x.safetensors", {"a": "c"}) is None


@pytest.mark.parametrize("file", [*READERS, layout.SPEAKERS])
@pytest.mark.parametrize("part", [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_file_is_named(release: Release, file: str, part: float) -> None:
    path = release.folder / file
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ModelLoadFailed, match=f"{file}: truncated or no checkpoint"):
        READERS.get(file, Release.speakers)(release)
    assert not (release.folder / BESIDE).exists()


def test_an_object_in_a_checkpoint_is_not_made(release: Release, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(tmp_path / "witness"),)

    torch.save({"x": Trap()}, release.folder / layout.HIFT)
    with pytest.raises(ModelLoadFailed, match=r"hift\.pt: truncated or no checkpoint"):
        release.hift()
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([1], "no named tensors"),
        ({}, "no named tensors"),
        ({"epoch": 3}, "epoch is no tensor"),
        ({"ids": torch.zeros(2, dtype=torch.int64)}, "ids holds torch.int64"),
    ],
)
def test_what_is_no_state(release: Release, state: object, message: str) -> None:
    torch.save(state, release.folder / layout.HIFT)
    with pytest.raises(ModelLoadFailed, match=message):
        release.hift()


# speakers --------------------------------------------------------------------------------


def test_the_golden_speaker(release: Release) -> None:
    (speaker,) = release.speakers().values()
    assert speaker.name == "golden"
    assert speaker.embedding.shape == (1, 192)
    assert speaker.prompt_text is not None
    assert speaker.prompt_text.shape == (1, 5)
    for tokens in (speaker.llm_tokens, speaker.flow_tokens):
        assert tokens is not None
        assert tokens.shape == (1, 37)
    assert speaker.prompt_mel is not None
    assert speaker.prompt_mel.shape == (1, 74, 80)


def test_a_release_without_speakers_has_none(release: Release) -> None:
    (release.folder / layout.SPEAKERS).unlink()
    assert release.speakers() == {}


def test_an_sft_speaker_has_an_embedding_only(release: Release) -> None:
    torch.save({"中文女": {"embedding": torch.ones(1, 192)}}, release.folder / layout.SPEAKERS)
    speaker = release.speakers()["中文女"]
    assert speaker.prompt_text is speaker.llm_tokens is speaker.prompt_mel is None


def test_arrays_are_cut_to_their_length(release: Release) -> None:
    info = {
        "embedding": torch.ones(1, 192),
        "prompt_text": torch.arange(5)[None],
        "prompt_text_len": torch.tensor([3]),
    }
    torch.save({"a": info}, release.folder / layout.SPEAKERS)
    text = release.speakers()["a"].prompt_text
    assert text is not None
    assert text.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    "voices",
    [
        [1],
        {"a": 1},
        {"a": {}},
        {"a": {"embedding": torch.ones(192)}},
        {"a": {"embedding": torch.ones(1, 192), "prompt_text": torch.ones(3)}},
        {"a": {"embedding": torch.ones(1, 192), "prompt_speech_feat": "x"}},
    ],
)
def test_a_broken_speaker(release: Release, voices: object) -> None:
    torch.save(voices, release.folder / layout.SPEAKERS)
    with pytest.raises(ModelLoadFailed, match=r"spk2info\.pt"):
        release.speakers()
