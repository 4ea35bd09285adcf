"""Fetch the published release: resumed where it broke off, checked, each file put in place whole.

Sizes and checksums are pinned, so it does not matter which server a file comes from.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, NamedTuple
from urllib.parse import quote

from cosyd.engines.cosyvoice2 import download, layout
from cosyd.engines.cosyvoice2.download import Failed
from cosyd.errors import Busy, ModelLoadFailed, ModelNotFound

REVISION: Final = "eec1ae6c79877dbd9379285cf8789c9e0879293d"
"""Of FunAudioLLM/CosyVoice2-0.5B at Hugging Face; `FILES` are this revision's."""
LICENSE: Final = "Apache-2.0"
MODEL: Final = "CosyVoice2-0.5B"
_REPOSITORY: Final = f"FunAudioLLM/{MODEL}/resolve/{REVISION}/{{path}}"


_PIECE_BYTES: Final = 1 << 20
_HASTY_ATTEMPTS: Final = 2
"""At a source, as long as there is another one: some countries block some servers."""


class File(NamedTuple):
    """A file of the release: its path in it, bytes, and sha256 in hexadecimal."""

    path: str
    size: int
    sha256: str


FILES: Final = (
    File(layout.YAML, 7_330, "0af2c0d010c477187c39f3e8fd5f1ae2e4e6f90ad03ba37c10ed6c6a87b05959"),
    File(
        layout.QWEN_CONFIG, 659, "168aa1bd401abc3bc262ba15ba4e499627a8b4e006e9d050b47c22de20660185"
    ),
    File(
        f"{layout.QWEN}/tokenizer_config.json",
        1_287,
        "482bd979881423375ca5414e4e0d94cd7c5349dbb17fffd46b4d36d71e62a1bc",
    ),
    File(
        layout.VOCAB, 2_776_833, "ca10d7e9fb3ed18575dd1e277a2579c16d108e32f27439684afa0e10b1440910"
    ),
    File(
        layout.MERGES, 1_402_109, "ac8ff86a72bee70828fbc1119bc4398c6f3a9a6e490d7b0dbe917be025478bd0"
    ),
    File(
        layout.HIFT, 83_390_254, "3386cc880324d4e98e05987b99107f49e40ed925b8ecc87c1f4939432d429879"
    ),
    File(
        layout.SPEAKER_ENCODER,
        28_303_423,
        "a6ac6a63997761ae2997373e2ee1c47040854b4b759ea41ec48e4e42df0f4d73",
    ),
    File(
        layout.FLOW, 450_575_567, "ff4c2f867674411e0a08cee702996df13fa67c1cd864c06108da88d16d088541"
    ),
    File(
        layout.SPEECH_TOKENIZER,
        496_082_973,
        "d43342aa12163a80bf07bffb94c9de2e120a8df2f9917cd2f642e7f4219c6f71",
    ),
    File(
        layout.LLM,
        2_023_316_821,
        "b144ef55b51ce8cfb79a73c90dbba0bdaba4e451c0ebcfab20f769264f84a608",
    ),
)
"""What speaking and cloning need, small files first. `CosyVoice-BlankEN/model.safetensors` (1 GB)
is left out: `llm.pt` holds those weights again."""


class Source(NamedTuple):
    """A server that has the release; a file's path goes where the URL says `{path}`."""

    name: str
    url: str


HUGGING_FACE: Final = Source("Hugging Face", f"https://huggingface.co/{_REPOSITORY}")
MODELSCOPE: Final = Source(
    "ModelScope", "https://modelscope.cn/models/iic/CosyVoice2-0.5B/resolve/master/{path}"
)
SOURCES: Final = (HUGGING_FACE, MODELSCOPE)


def mirror(url: str) -> Source:
    """A server at `url` that has Hugging Face's paths, such as https://hf-mirror.com."""
    base = url.rstrip("/").replace("{", "{{").replace("}", "}}")
    return Source(url, f"{base}/{_REPOSITORY}")


class Progress(NamedTuple):
    """How far a pull is, in bytes over all files; what was there before counts as done."""

    file: str
    done_bytes: int
    total_bytes: int


def folder_in(data_dir: Path) -> Path:
    """Where the release goes."""
    return data_dir / "models" / MODEL


def present_bytes(folder: Path, files: Sequence[File] = FILES) -> int:
    """How much of `files` is in `folder`, parts of files included."""
    found = ((file, _present(folder, file)) for file in files)
    return sum(file.size if part is None else part for file, part in found)


def _append(path: Path) -> IO[bytes]:
    return path.open("ab")


def pull(
    folder: Path,
    *,
    files: Sequence[File] = FILES,
    sources: Sequence[Source] = SOURCES,
    progress: Callable[[Progress], None] = lambda _: None,
    attempts: int = 4,
    wait: Callable[[float], object] | None = None,
    append: Callable[[Path], IO[bytes]] = _append,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Fetch what of `files` is not in `folder` yet.

    A file of the right size that is in place is trusted: it was checked before it got there. What
    breaks off stays as `<file>.part` and goes on from there, now or at the next call.

    Args:
        folder: made if it is not there.
        sources: tried in this order; the next one when one fails or has another file. Whichever
            gave a file is asked first from then on.
        progress: called with every piece that came, at the beginning and the end of every file.
        attempts: how often the last source may fail in a row without sending a byte; another one
            may do so twice at most.
        wait: waits seconds between attempts (1, 2, 4 …, at most 30).
        append: opens a partial file to append to.
        free_bytes: space left on a folder's disk.

    Raises:
        Busy: another pull is at work in `folder`.
        ModelLoadFailed: all that the sources have differs from what was published.
        ModelNotFound: no source could be reached, or the disk is full; the message says which.
    """
    wait = wait or threading.Event().wait
    with _locked(folder):
        have = {file.path: _present(folder, file) for file in files}
        _check_space(folder, sum(f.size for f in files) - present_bytes(folder, files), free_bytes)
        total, done = sum(file.size for file in files), 0
        for file in files:

            def tell(size: int, file: File = file, done: int = done) -> None:
                progress(Progress(file.path, done + size, total))

            if (part := have[file.path]) is not None:
                tell(part)
                place = folder / file.path
                place.parent.mkdir(parents=True, exist_ok=True)
                ways = download.Ways(tell, attempts, wait, append)
                gave = _fetch(file, place, sources, ways)
                sources = (gave, *(source for source in sources if source != gave))
            tell(file.size)
            done += file.size


def from_dir(
    source: Path,
    folder: Path,
    *,
    files: Sequence[File] = FILES,
    progress: Callable[[Progress], None] = lambda _: None,
    checked: bool = True,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Copy a release that is on this machine already, and its `spk2info.pt` if it has one.

    Args:
        source: a folder with the files.
        progress: called with every piece, and at the end of every file.
        checked: whether they must be the published ones; False for a model trained further.
        free_bytes: space left on a folder's disk.

    Raises:
        Busy, ModelLoadFailed, ModelNotFound: as `pull`; also when `source` lacks a file.
    """
    paths = tuple(file.path for file in files)
    if absent := layout.missing(source, paths):
        raise ModelNotFound(f"{source}: no {', '.join(absent)} there: give the release's folder.")
    with _locked(folder):
        extra = [] if layout.missing(source, (layout.SPEAKERS,)) else [layout.SPEAKERS]
        sizes = {path: (source / path).stat().st_size for path in (*paths, *extra)}
        known = {file.path: file for file in files} if checked else {}
        there = {path for path, file in known.items() if _present(folder, file) is None}
        total, done = sum(sizes.values()), 0
        _check_space(folder, total - sum(sizes[path] for path in there), free_bytes)
        for path, size in sizes.items():

            def tell(copied: int, path: str = path, done: int = done) -> None:
                progress(Progress(path, done + copied, total))

            if path not in there:
                _copy(source / path, folder / path, known.get(path), tell)
            tell(size)
            done += size


def _copy(source: Path, place: Path, file: File | None, tell: Callable[[int], None]) -> None:
    """Copy one file; it must be `file` if that is given."""
    partial = _partial(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with source.open("rb") as original, partial.open("wb") as copy:
            while piece := original.read(_PIECE_BYTES):
                digest.update(piece)
                copy.write(piece)
                tell(copy.tell())
        if file is not None and digest.hexdigest() != file.sha256:
            raise ModelLoadFailed(f"{source}: not the published file: fetch it again.")
        _put(partial, place)
    except OSError as error:
        raise _disk(place, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _fetch(file: File, place: Path, sources: Sequence[Source], ways: download.Ways) -> Source:
    """Try one source after the other until the file is there as published; the one that gave it."""
    partial, reasons, wrong = _partial(place), [], False
    hasty = replace(ways, attempts=min(ways.attempts, _HASTY_ATTEMPTS))
    try:
        for source in sources:
            url = source.url.format(path=quote(file.path))
            patience = ways if source == sources[-1] else hasty
            try:
                for _ in range(2 if partial.exists() else 1):  # an old part may be what is wrong
                    download.download(url, partial, file.size, patience)
                    if _sha256(partial) == file.sha256:
                        _put(partial, place)
                        return source
                    partial.unlink()
            except Failed as failure:
                reasons.append(f"{source.name}: {failure}")
            else:
                wrong = True
                reasons.append(f"{source.name}: not the published file")
    except OSError as error:
        raise _disk(place, error) from error
    kind = ModelLoadFailed if wrong else ModelNotFound
    raise kind(f"{file.path} not fetched ({'; '.join(reasons)}): try again, it goes on from there.")


def _partial(place: Path) -> Path:
    return place.with_name(f"{place.name}.part")


def _present(folder: Path, file: File) -> int | None:
    """None: the file is in place. Else how much of it was fetched before."""
    place = folder / file.path
    if place.is_file() and place.stat().st_size == file.size:
        return None
    partial = _partial(place)
    return min(partial.stat().st_size, file.size) if partial.is_file() else 0


def _check_space(folder: Path, needed: int, free_bytes: Callable[[Path], int]) -> None:
    free = free_bytes(folder)
    if needed > free:
        raise ModelNotFound(
            f"{folder}: {_mib(needed)} MiB needed, {free >> 20} free: make space or set "
            "COSYD_DATA_DIR to another disk."
        )


def _mib(size: int) -> int:
    return -(-size >> 20)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(partial: Path, place: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(place)


def _disk(place: Path, error: OSError) -> ModelNotFound:
    reason = error.strerror or error
    return ModelNotFound(f"{place}: {reason}: mend that and fetch again, it goes on from there.")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep two pulls off one folder; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".pull.lock").open("wb")
    except OSError as error:
        raise _disk(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"{folder}: it is being fetched already: wait for that.") from error
        except OSError:
            pass  # a file system without locks: the checksums hold all the same
        yield
