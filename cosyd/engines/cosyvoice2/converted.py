"""Checkpoints rewritten as safetensors beside their source, so that a start maps, not computes.

The file's metadata say of what source (size and time of its last change) it was made; another
source makes it stale. It is written under another name and renamed, so it is whole or not there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

FORMAT: Final = "1"
"""Raised whenever the same source would be converted to something else."""

_DTYPES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int8: "I8",
}
_ALIGNMENT: Final = 64
_STALE_S: Final = 3600.0
_LARGE: Final = 1 << 26
"""A tensor of that many bytes is mapped on its own: kept alone, it keeps nothing else mapped."""


def load(
    source: Path,
    folders: Iterable[Path],
    convert: Callable[[], dict[str, Tensor]],
    *,
    variant: str = "",
) -> dict[str, Tensor]:
    """The converted tensors of `source`, mapped into memory; made now if they are not there.

    Args:
        source: the checkpoint.
        folders: where `<stem>.safetensors` may be, the first writable one gets it.
        convert: reads the source and gives its tensors, by name.
        variant: what the file is called behind its stem, such as ".int8", where a source is
            converted in several ways.

    Returns:
        The tensors, by name. Where no folder can be written, those that `convert` gave.

    Raises:
        What `convert` raises, and `OSError` when the source is not there.
    """
    places = [folder / f"{source.stem}{variant}.safetensors" for folder in folders]
    stamp = _stamp(source)
    for place in places:
        tensors = read(place, stamp)
        if tensors is not None:
            return tensors
    converted = convert()
    if _stamp(source) != stamp:  # changed while it was read: what was read is of neither
        return converted
    for place in places:
        try:
            write(place, converted, stamp)
        except OSError:  # no permission, no space: elsewhere, or not at all
            continue
        return read(place, stamp) or converted
    return converted


def _stamp(source: Path) -> dict[str, str]:
    status = source.stat()
    return {
        "cosyd": FORMAT,
        "source": source.name,
        "size": str(status.st_size),
        "mtime_ns": str(status.st_mtime_ns),
    }


def read(path: Path, stamp: Mapping[str, str]) -> dict[str, Tensor] | None:
    """The tensors of a converted file, mapped; None if it is not there, broken or stale."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            aliases = json.loads(metadata.pop("aliases", "{}"))
            if metadata != stamp:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no dict
        for name in [name for name, tensor in tensors.items() if tensor.nbytes >= _LARGE]:
            with safe_open(path, framework="pt") as file:
                tensors[name] = file.get_tensor(name)
        return tensors | {name: tensors[same] for name, same in aliases.items()}
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


def write(path: Path, tensors: Mapping[str, Tensor], stamp: Mapping[str, str]) -> None:
    """Write tensors as safetensors, one after the other, so that no second copy is in memory.

    Tensors that share their memory (tied embeddings) are written once.

    Raises:
        OSError: it cannot be written there; nothing is left behind.
    """
    _make(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".part")
    partial = Path(name)
    try:
        os.fchmod(handle, 0o644)  # other users of the release may read it
        _sweep(path, partial.stat().st_mtime)
        with os.fdopen(handle, "wb") as file:
            _write(file, tensors, stamp)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _make(folder: Path) -> None:
    """Make a folder that git passes over: a release may be a clone, or in somebody's tree."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _sweep(path: Path, now: float) -> None:
    """Delete what a conversion left that was killed long ago."""
    for partial in path.parent.glob(f"{path.stem}.*.part"):
        if now - partial.stat().st_mtime > _STALE_S:
            partial.unlink(missing_ok=True)


def _write(file: BinaryIO, tensors: Mapping[str, Tensor], stamp: Mapping[str, str]) -> None:
    unique, aliases = _unique(tensors)
    header: dict[str, Any] = {"__metadata__": {**stamp, "aliases": json.dumps(aliases)}}
    end = 0
    for name, tensor in unique.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    file.write(len(text).to_bytes(8, "little") + text)
    for tensor in unique.values():
        file.write(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _unique(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that differ, widest elements first (so that all are aligned), and the others."""
    first: dict[object, str] = {}
    unique: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        place = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        same = first.setdefault(place, name) if tensor.numel() else name
        if same == name:
            unique[name] = tensor
        else:
            aliases[name] = same
    return unique, aliases
