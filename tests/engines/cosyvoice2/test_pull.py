"""A pull goes on where it broke, takes only what was published, and leaves no half file."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.engines.cosyvoice2 import layout, pull
from cosyd.engines.cosyvoice2.pull import File, Progress, Source
from cosyd.errors import Busy, CosydError, ModelLoadFailed, ModelNotFound
from tests.engines.cosyvoice2.fileserver import Script, serving

BIG = random.Random(0).randbytes(700_000)
SMALL = b"sample_rate: 24000\n"
CONTENT = {"deep/big.pt": BIG, "small.yaml": SMALL}


def listed(content: dict[str, bytes]) -> list[File]:
    return [
        File(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in content.items()
    ]


FILES = listed(CONTENT)


class Pull:
    """`pull.pull` with what a test injects, and what it saw."""

    def __init__(self, folder: Path, *sources: Source) -> None:
        self.folder = folder
        self.sources = sources
        self.waits: list[float] = []
        self.progress: list[Progress] = []

    def __call__(self, **options: object) -> None:
        arguments: dict[str, object] = {
            "files": FILES,
            "sources": self.sources,
            "progress": self.progress.append,
            "wait": self.waits.append,
        }
        pull.pull(self.folder, **(arguments | options))  # type: ignore[arg-type]  # a test's choice

    def there(self) -> dict[str, bytes]:
        """All files but the lock."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != ".pull.lock"
        }


@pytest.fixture
def script() -> Script:
    return Script(dict(CONTENT))


@pytest.fixture
def fetch(tmp_path: Path, script: Script) -> Iterator[Pull]:
    with serving(script) as source:
        yield Pull(tmp_path / "model", source)


def test_everything_is_fetched_and_put_in_place(fetch: Pull) -> None:
    fetch()
    assert fetch.there() == CONTENT
    assert fetch.waits == []


def test_progress_counts_bytes_over_all_files(fetch: Pull) -> None:
    fetch()
    total = len(BIG) + len(SMALL)
    done = [step.done_bytes for step in fetch.progress]
    assert done == sorted(done)
    assert done[-1] == total
    assert len(done) > 3
    assert {step.total_bytes for step in fetch.progress} == {total}
    assert [step.file for step in fetch.progress][:: len(done) - 1] == ["deep/big.pt", "small.yaml"]


def test_what_is_there_is_not_fetched_again(fetch: Pull, script: Script) -> None:
    fetch()
    script.asked.clear()
    fetch.progress.clear()
    fetch()
    assert script.asked == []
    assert fetch.progress[-1].done_bytes == len(BIG) + len(SMALL)


def test_a_file_of_another_size_is_replaced(fetch: Pull) -> None:
    fetch.folder.mkdir()
    (fetch.folder / "small.yaml").write_bytes(b"old")
    fetch()
    assert fetch.there() == CONTENT


def test_a_broken_connection_goes_on_where_it_broke(fetch: Pull, script: Script) -> None:
    script.breaks = [len(BIG) // 2, 1000]
    fetch()
    assert fetch.there() == CONTENT
    first, second = len(BIG) // 2, len(BIG) // 2 + 1000
    assert script.asked[:3] == [
        ("deep/big.pt", None),
        ("deep/big.pt", f"bytes={first}-"),
        ("deep/big.pt", f"bytes={second}-"),
    ]
    assert fetch.waits == [1.0, 1.0]  # bytes came in between


def test_without_lengths_an_early_end_is_noticed_too(fetch: Pull, script: Script) -> None:
    script.lengths = False
    script.breaks = [100_000]
    fetch()
    assert fetch.there() == CONTENT


def test_giving_up_keeps_the_part_for_the_next_call(fetch: Pull, script: Script) -> None:
    script.breaks = [300_000, 0, 0, 0]
    with pytest.raises(ModelNotFound, match=r"deep/big\.pt not fetched \(here: the connection br"):
        fetch()
    assert fetch.there() == {"deep/big.pt.part": BIG[:300_000]}
    assert fetch.waits == [1.0, 2.0, 4.0]
    fetch()
    assert fetch.there() == CONTENT
    assert script.asked[-2] == ("deep/big.pt", "bytes=300000-")


def test_a_server_without_ranges_starts_over(fetch: Pull, script: Script) -> None:
    script.ranges = False
    script.breaks = [300_000]
    fetch()
    assert fetch.there() == CONTENT


def test_an_answer_with_another_part_is_refused(fetch: Pull, script: Script) -> None:
    script.breaks = [300_000]
    script.wrong_range = True
    with pytest.raises(ModelNotFound, match="another part"):
        fetch()
    assert fetch.there() == {"deep/big.pt.part": BIG[:300_000]}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 400_000), max_size=4), st.booleans(), st.booleans())
def test_however_it_breaks_the_bytes_are_the_same(
    breaks: list[int], ranges: bool, lengths: bool
) -> None:
    script = Script(dict(CONTENT), breaks=breaks, ranges=ranges, lengths=lengths)
    with tempfile.TemporaryDirectory() as folder, serving(script) as source:
        fetch = Pull(Path(folder), source)
        fetch(attempts=6)
        assert fetch.there() == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(fetch: Pull, script: Script, status: int) -> None:
    script.statuses = [status, status]
    fetch()
    assert fetch.there() == CONTENT
    assert fetch.waits == [1.0, 2.0]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_final(fetch: Pull, script: Script, status: int) -> None:
    script.statuses = [status]
    with pytest.raises(ModelNotFound, match=f"here: HTTP {status}"):
        fetch()
    assert len(script.asked) == 1
    assert fetch.there() == {}


def test_the_next_source_goes_on_with_the_part(tmp_path: Path) -> None:
    with ExitStack() as stack:
        bad, good = Script(dict(CONTENT), breaks=[200_000, 0]), Script(dict(CONTENT))
        sources = [stack.enter_context(serving(script)) for script in (bad, good)]
        fetch = Pull(tmp_path, *sources)
        fetch()
        assert fetch.there() == CONTENT
        assert good.asked == [("deep/big.pt", "bytes=200000-"), ("small.yaml", None)]
        assert len(bad.asked) == 2  # it is not asked for the next file


def test_a_wrong_checksum_is_not_put_in_place(fetch: Pull, script: Script) -> None:
    script.content["deep/big.pt"] = BIG[:-1] + b"x"
    with pytest.raises(ModelLoadFailed, match=r"deep/big\.pt not fetched \(here: not the publish"):
        fetch()
    assert fetch.there() == {}
    assert len(script.asked) == 1


def test_after_a_wrong_checksum_the_next_source_is_tried(tmp_path: Path) -> None:
    with ExitStack() as stack:
        liar = Script({**CONTENT, "deep/big.pt": bytes(len(BIG))})
        sources = [stack.enter_context(serving(script)) for script in (liar, Script(dict(CONTENT)))]
        fetch = Pull(tmp_path, *sources)
        fetch()
        assert fetch.there() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * len(BIG), b"x" * (len(BIG) + 1)])
def test_a_wrong_part_is_thrown_away(fetch: Pull, part: bytes) -> None:
    (fetch.folder / "deep").mkdir(parents=True)
    (fetch.folder / "deep" / "big.pt.part").write_bytes(part)
    fetch()
    assert fetch.there() == CONTENT


@pytest.mark.parametrize("data", [BIG[:-1], BIG + b"x", b""])
def test_a_file_of_another_length_is_refused_before_it_is_read(
    fetch: Pull, script: Script, data: bytes
) -> None:
    script.content["deep/big.pt"] = data
    with pytest.raises(ModelNotFound, match=f"here: {len(data)} bytes, not {len(BIG)}"):
        fetch()
    assert fetch.there() == {}


def test_a_body_without_end_is_cut_and_refused(fetch: Pull, script: Script) -> None:
    script.lengths = False
    script.content["deep/big.pt"] = b"x" * (3 * len(BIG))
    with pytest.raises(ModelLoadFailed, match="not the published file"):
        fetch()
    assert fetch.there() == {}


def test_redirects_keep_the_range(tmp_path: Path, script: Script) -> None:
    with serving(script) as target:
        front = Script({}, redirect=target.url.removesuffix("/{path}"))
        script.breaks = [300_000]
        with serving(front) as source:
            fetch = Pull(tmp_path, source)
            fetch()
            assert fetch.there() == CONTENT
            assert script.asked[1] == ("deep/big.pt", "bytes=300000-")


def test_nobody_there(tmp_path: Path) -> None:
    with serving(Script({})) as source:
        pass
    fetch = Pull(tmp_path / "model", source, source._replace(name="there"))
    with pytest.raises(ModelNotFound, match=r"\(here: Connection refused; there: Connection ref"):
        fetch(attempts=2)
    assert fetch.waits == [1.0, 1.0]


def test_too_little_space_is_said_before_a_byte_is_fetched(fetch: Pull, script: Script) -> None:
    with pytest.raises(ModelNotFound, match=r"1 MiB needed, 0 free: make space"):
        fetch(free_bytes=lambda _: 0)
    assert script.asked == []


def test_space_counts_what_is_there_already(fetch: Pull, script: Script) -> None:
    script.breaks = [300_000, 0, 0, 0]
    with pytest.raises(ModelNotFound):
        fetch()
    fetch(free_bytes=lambda _: len(BIG) + len(SMALL) - 300_000)
    assert fetch.there() == CONTENT


class Disk(io.RawIOBase):
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        assert isinstance(data, bytes)
        fits = data[: self._room]
        self._file.write(fits)
        self._room -= len(fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def test_a_full_disk_keeps_what_was_fetched(fetch: Pull) -> None:
    def append(path: Path) -> Disk:
        return Disk(path.open("ab"), 250_000)

    with pytest.raises(ModelNotFound, match=r"deep/big\.pt: No space left on device"):
        fetch(append=append)
    assert fetch.there() == {"deep/big.pt.part": BIG[:250_000]}
    assert fetch.waits == []
    fetch()
    assert fetch.there() == CONTENT


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFound, match="file/model: Not a directory"):
        Pull(tmp_path / "file" / "model")()


def test_one_pull_a_folder(fetch: Pull, script: Script) -> None:
    fetch.folder.mkdir()
    with (fetch.folder / ".pull.lock").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="being fetched already"):
            fetch()
    assert script.asked == []
    fetch()
    assert fetch.there() == CONTENT


# what is published -------------------------------------------------------------------------


def test_the_published_files_are_what_a_release_needs() -> None:
    paths = {file.path for file in pull.FILES}
    assert {*layout.SPEAKING, *layout.CLONING} <= paths
    assert len(paths) == len(pull.FILES)
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in pull.FILES)
    assert all(source.url.startswith("https://") for source in pull.SOURCES)
    assert all("{path}" in source.url for source in pull.SOURCES)
    assert pull.REVISION in pull.HUGGING_FACE.url


def test_errors_are_one_line(fetch: Pull, script: Script) -> None:
    script.content = {}
    with pytest.raises(CosydError) as caught:
        fetch()
    assert "\n" not in str(caught.value)
