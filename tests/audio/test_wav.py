"""WAVs that other readers take, sizes on pipes, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.audio import wav
from cosyd.audio.wav import WavWriter, WriteFailed, open_output


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, body) of every chunk of a whole RIFF file, sizes checked."""
    assert data[:4] == b"RIFF"
    assert data[8:12] == b"WAVE"
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    at = 12
    while at < len(data):
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size


@given(st.lists(st.integers(0, 40)))
def test_a_file_read_back_by_another_reader(sizes: list[int]) -> None:
    file, whole = io.BytesIO(), b""
    writer = WavWriter(file, 24_000, "s16le", seekable=True)
    for size in sizes:
        pcm = os.urandom(2 * size)
        writer.write(pcm)
        whole += pcm
    writer.close()
    assert file.tell() == 44 + len(whole)
    file.seek(0)
    with wave.open(file) as reader:
        assert reader.getparams()[:4] == (1, 2, 24_000, len(whole) // 2)
        assert reader.readframes(1_000_000) == whole


def test_float_has_a_fact_chunk() -> None:
    file, pcm = io.BytesIO(), struct.pack("<3f", 0.0, 0.5, -1.0)
    writer = WavWriter(file, 48_000, "f32le", seekable=True)
    writer.write(pcm)
    writer.close()
    got = dict(chunks(file.getvalue()))
    assert struct.unpack("<HHIIHHH", got[b"fmt "]) == (3, 1, 48_000, 192_000, 4, 32, 0)
    assert got[b"fact"] == struct.pack("<I", 3)
    assert got[b"data"] == pcm


def test_a_pipe_gets_the_sizes_of_a_stream_and_no_seek() -> None:
    class Pipe(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise OSError(errno.ESPIPE, "Illegal seek")

        tell = seek

    file = Pipe()
    writer = WavWriter(file, 48_000)
    writer.write(b"\1\0")
    writer.close()
    data = file.getvalue()
    assert data[:44].hex() == (
        "5249464624f0ff7f57415645666d742010000000010001"
        "0080bb0000007701000200100064617461" + "00f0ff7f"
    )
    assert data[44:] == b"\1\0"


def test_float_on_a_pipe() -> None:
    head = wav.header(48_000, "f32le")
    assert len(head) == 58
    assert head[-4:] == struct.pack("<I", wav.STREAMING_DATA_BYTES)
    assert struct.unpack("<I", head[4:8])[0] == wav.STREAMING_DATA_BYTES + 50


def test_a_header_in_the_middle_of_a_file_is_patched_there() -> None:
    file = io.BytesIO(b"before")
    file.seek(6)
    writer = WavWriter(file, 8_000, "s16le", seekable=True)
    writer.write(bytes(10))
    writer.close()
    writer.close()
    assert file.getvalue()[:6] == b"before"
    assert dict(chunks(file.getvalue()[6:]))[b"data"] == bytes(10)


def test_more_than_4_gib_says_the_largest_size() -> None:
    assert wav.header(48_000, "s16le", 1 << 33)[-4:] == b"\xff" * 4


def test_parts_of_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes are no whole number of s16le samples"):
        WavWriter(io.BytesIO(), 48_000).write(b"abc")


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'u8'"):
        WavWriter(io.BytesIO(), 48_000, "u8")


@pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")
@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
def test_sox_takes_a_stream_silently(encoding: str) -> None:
    width = {"s16le": 2, "f32le": 4}[encoding]
    file = io.BytesIO()
    WavWriter(file, 48_000, encoding).write(bytes(width * 480))
    sox = ["sox", "-t", "wav", "-", "-t", "raw", "-e", "signed", "-b", "16", "-"]
    done = subprocess.run(sox, input=file.getvalue(), capture_output=True, check=True)
    assert len(done.stdout) == 960
    assert done.stderr == b""


# Files.


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    with open_output(target) as file:
        writer = WavWriter(file, 48_000, "s16le", file.seekable)
        writer.write(bytes(960))
        assert not target.exists()
        writer.close()
    assert dict(chunks(target.read_bytes()))[b"data"] == bytes(960)
    assert names(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionResetError, ValueError])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"old")
    with pytest.raises(error), open_output(target) as file:
        file.write(b"new")
        raise error
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.wav"]


def test_a_new_file_gets_the_usual_mode_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        with open_output(tmp_path / "new"):
            pass
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    with open_output(tmp_path / "new"):
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with open_output(tmp_path / "link") as file:
        file.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_output("a.wav") as file:
        file.write(b"x")
    assert (tmp_path / "a.wav").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/a.wav", "its folder does not exist"),
        ("folder", "it is a folder; name a file in it"),
        ("file/a.wav", "a part of its path is no folder"),
        ("x" * 300, "its name is too long"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(WriteFailed) as caught:
        open_output(tmp_path / path)
    assert str(caught.value) == f"cannot write {tmp_path / path}: {reason}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0o444)
    with pytest.raises(WriteFailed, match="you may not write there"):
        open_output(tmp_path / "a")


def test_access_is_asked_for_before_a_file_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteFailed, match="you may not write there"):
        open_output(tmp_path / "a")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_named() -> None:
    with (
        pytest.raises(WriteFailed, match="cannot write /dev/full: the disk is full"),
        open_output("/dev/full") as file,
    ):
        file.write(b"x")


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    with pytest.raises(WriteFailed, match="the disk is full"), open_output(tmp_path / "a") as file:
        monkeypatch.setattr(os, "write", full)
        file.write(b"x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["replace", "close"])
def test_a_failure_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EDQUOT, "")

    file = open_output(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(WriteFailed, match="quota"):
            file.close()
    assert names(tmp_path) == []


# What is no regular file.


def test_dev_null_stays_a_device() -> None:
    with open_output("/dev/null") as file:
        assert not file.seekable
        file.write(b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    with open_output(tmp_path / "fifo") as file:
        file.write(bytes(200_000))
    reader.join(30)
    assert got == [bytes(200_000)]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_a_reader_that_is_gone_is_a_broken_pipe() -> None:
    out, into = os.pipe()
    os.close(out)
    with pytest.raises(BrokenPipeError), open_output(f"/dev/fd/{into}") as file:
        file.write(b"x")
    os.close(into)


def test_a_non_blocking_pipe_is_waited_for() -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(out, "rb") as reader:
            got.append(reader.read())

    with open_output(f"/dev/fd/{into}") as file:
        os.close(into)
        thread = threading.Thread(target=read)
        thread.start()
        file.write(bytes(1_000_000))
    thread.join(30)
    assert got == [bytes(1_000_000)]


WRITE = """
from cosyd.audio.wav import open_output
with open_output("/dev/stdout") as file:
    file.write(b"sound")
"""


def test_dev_stdout_goes_on_in_the_shells_own_file(tmp_path: Path) -> None:
    """Neither truncated nor replaced: what was written before and after stays."""
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before ")
        subprocess.run([sys.executable, "-c", WRITE], stdout=out, check=True)
        out.write(b" after")
    assert (tmp_path / "out").read_bytes() == b"before sound after"


def test_dev_stdout_may_be_a_socket() -> None:
    here, there = socket.socketpair()
    with here, there:
        subprocess.run([sys.executable, "-c", WRITE], stdout=there.fileno(), check=True)
        assert here.recv(100) == b"sound"


def test_importing_it_is_cheap() -> None:
    """It adds no module that a command which only writes bytes can do without."""
    code = (
        "import sys, cosyd, cosyd.audio; before = set(sys.modules);"
        "import cosyd.audio.wav, cosyd.audio.framer; print(*set(sys.modules) - before)"
    )
    root = Path(wav.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    ours = {"cosyd.audio.wav", "cosyd.audio.framer"}
    assert set(done.stdout.split()) <= {*ours, "__future__", "errno", "stat", "struct", "_struct"}
