"""A release that is on this machine already is copied and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cosyd.engines.cosyvoice2 import layout, pull
from cosyd.engines.cosyvoice2.pull import File, Progress
from cosyd.errors import ModelLoadFailed, ModelNotFound

CONTENT = {"deep/big.pt": b"tensors" * 1000, "small.yaml": b"sample_rate: 24000\n"}
FILES = [File(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in CONTENT.items()]


def there(folder: Path) -> dict[str, bytes]:
    """All files but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".pull.lock"
    }


@pytest.fixture
def given_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def test_from_a_folder(given_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    progress: list[Progress] = []
    pull.from_dir(given_folder, target, files=FILES, progress=progress.append)
    assert there(target) == CONTENT
    assert progress[-1].done_bytes == progress[-1].total_bytes


def test_from_a_folder_with_voices(given_folder: Path, tmp_path: Path) -> None:
    (given_folder / layout.SPEAKERS).write_bytes(b"voices")
    pull.from_dir(given_folder, tmp_path / "model", files=FILES)
    assert (tmp_path / "model" / layout.SPEAKERS).read_bytes() == b"voices"


def test_from_a_folder_that_lacks_a_file(given_folder: Path, tmp_path: Path) -> None:
    (given_folder / "small.yaml").unlink()
    with pytest.raises(ModelNotFound, match=r"no small\.yaml there"):
        pull.from_dir(given_folder, tmp_path / "model", files=FILES)
    assert not (tmp_path / "model").exists()


def test_from_a_folder_with_another_file(given_folder: Path, tmp_path: Path) -> None:
    (given_folder / "small.yaml").write_bytes(b"mine")
    target = tmp_path / "model"
    with pytest.raises(ModelLoadFailed, match=r"small\.yaml: not the published file"):
        pull.from_dir(given_folder, target, files=FILES)
    assert there(target) == {"deep/big.pt": CONTENT["deep/big.pt"]}
    pull.from_dir(given_folder, target, files=FILES, checked=False)
    assert there(target) == {**CONTENT, "small.yaml": b"mine"}


def test_from_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"nowhere: no deep/big\.pt, small\.yaml there"):
        pull.from_dir(tmp_path / "nowhere", tmp_path / "model", files=FILES)


def test_progress_grows_within_a_file(given_folder: Path, tmp_path: Path) -> None:
    data = bytes(3_000_000)
    (given_folder / "deep/big.pt").write_bytes(data)
    files = [File("deep/big.pt", len(data), hashlib.sha256(data).hexdigest()), FILES[1]]
    progress: list[Progress] = []
    pull.from_dir(given_folder, tmp_path / "model", files=files, progress=progress.append)
    done = [at.done_bytes for at in progress if at.file == "deep/big.pt"]
    assert len(done) > 2
    assert done == sorted(done)


def test_what_is_there_already_is_not_copied_again(given_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    pull.from_dir(given_folder, target, files=FILES)
    before = (target / "deep/big.pt").stat().st_ino
    pull.from_dir(given_folder, target, files=FILES)
    assert (target / "deep/big.pt").stat().st_ino == before
    pull.from_dir(given_folder, target, files=FILES, checked=False)
    assert (target / "deep/big.pt").stat().st_ino != before


def test_a_full_disk_is_told_beforehand(given_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(ModelNotFound, match="1 MiB needed, 0 free"):
        pull.from_dir(given_folder, target, files=FILES, free_bytes=lambda _: 100)
    assert there(target) == {}
