"""Make Kokoro's voicepacks from the voices in npm's kokoro-js, and measure their loudness.

    npm pack kokoro-js@1.2.1
    python bench/make_voicepacks.py kokoro-js-1.2.1.tgz voicepacks

Each `voices/<name>.bin` is float32 [510, 256]; it becomes float16, whose error is far below what
the int8 model resolves. The loudness is BS.1770's integrated one over several sentences as the
engine speaks them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml

from cosyd import config
from cosyd.engines.base import Chunk, Request, Settings
from cosyd.engines.kokoro import engine as kokoro
from cosyd.engines.kokoro import loading
from cosyd.paths import config_file, data_dir
from cosyd.voices import voicepack

TARBALL_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
SENTENCES = {
    "en": (
        "The quick brown fox jumps over the lazy dog, and nobody minds.",
        "Good morning! Your train leaves from platform nine in twenty minutes.",
        "She had not expected an answer, but one came the very same evening.",
        "Would you like some more tea, or shall we go for a walk by the river?",
    ),
    "zh": (
        "今天天气很好，我们一起去公园散步吧。",
        "早上好！您的列车二十分钟后从九号站台出发。",
        "她没想到会有回信，可是当天晚上信就来了。",
        "你想再喝点茶，还是去河边走一走？",
    ),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """What a manifest says that no measurement tells."""

    name: str
    language: str
    description: str
    tags: tuple[str, ...]


VOICES = (
    Voice("af_heart", "en", "American English, warm and clear", ("female", "american")),
    Voice("af_bella", "en", "American English, lively", ("female", "american")),
    Voice("am_michael", "en", "American English, calm", ("male", "american")),
    Voice("bf_emma", "en", "British English, friendly", ("female", "british")),
    Voice("bm_george", "en", "British English, measured", ("male", "british")),
    Voice("zf_xiaobei", "zh", "Mandarin Chinese, bright", ("female", "mandarin")),
    Voice("zf_xiaoxiao", "zh", "Mandarin Chinese, gentle", ("female", "mandarin")),
    Voice("zm_yunxi", "zh", "Mandarin Chinese, young", ("male", "mandarin")),
)
REGIONS = {"american": "en-US", "british": "en-GB", "mandarin": "zh-CN"}


def styles(tarball: Path) -> Iterator[tuple[Voice, np.ndarray]]:
    """Each voice with its style, float16 [510, 256]."""
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if digest != TARBALL_SHA256:
        sys.exit(f"{tarball}: not kokoro-js 1.2.1 (sha256 {digest})")
    with tarfile.open(tarball) as archive:
        for voice in VOICES:
            member = archive.extractfile(f"package/voices/{voice.name}.bin")
            if member is None:
                sys.exit(f"{tarball}: no voice {voice.name}")
            style = np.frombuffer(member.read(), "<f4").reshape(kokoro.STYLE_SHAPE)
            yield voice, style.astype(np.float16)


def write_style(path: Path, style: np.ndarray) -> None:
    """`style.npz` whose bytes are the same every time it is made."""
    array = BytesIO()
    np.save(array, style, allow_pickle=False)
    entry = zipfile.ZipInfo("style.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(entry, array.getvalue(), compresslevel=9)


def manifest(voice: Voice, size: int, loudness: float | None) -> dict[str, object]:
    """What `metadata.yaml` says."""
    audio: dict[str, object] = {"sample_rate": kokoro.SAMPLE_RATE}
    if loudness is not None:
        audio["loudness_lufs"] = round(loudness, 1)
    region = next(REGIONS[tag] for tag in voice.tags if tag in REGIONS)
    other = "en" if voice.language == "zh" else "zh"
    return {
        "name": voice.name,
        "family": "kokoro",
        "model_id": "kokoro-82m",
        "version": "1.0",
        "description": voice.description,
        "capabilities": ["streaming", "text_streaming", "speed"],
        "languages": [region, other],
        "tags": list(voice.tags),
        "audio": audio,
        "size": size,
        "license": "Apache-2.0",
    }


def measured(engine: kokoro.KokoroEngine, directory: Path, language: str) -> float:
    """LUFS of the voice as the engine speaks it."""
    import pyloudnorm

    stream = engine.open(Request(voice=voicepack.load(directory), language=language))
    stream.write(" ".join(SENTENCES[language]), final=True)
    pieces = []
    while (outcome := engine.step([stream])[0]) is not None:
        if not isinstance(outcome, Chunk):
            raise outcome
        pieces.append(outcome.pcm)
    stream.close()
    meter = pyloudnorm.Meter(engine.sample_rate)
    return float(meter.integrated_loudness(np.concatenate(pieces).astype(np.float64)))


def main() -> None:
    """Write all voicepacks below a directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tarball", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    engine = loading.load(
        "kokoro-82m", Settings(data_dir(config.load(os.environ, file=config_file(os.environ))))
    )
    for voice, style in styles(arguments.tarball):
        directory = arguments.directory / "kokoro" / voice.name
        directory.mkdir(parents=True, exist_ok=True)
        write_style(directory / "style.npz", style)
        size = (directory / "style.npz").stat().st_size
        for loudness in (None, 0.0):
            if loudness is not None:
                loudness = measured(engine, directory, voice.language)
            data = manifest(voice, size, loudness)
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
            (directory / "metadata.yaml").write_text(text, encoding="utf-8")
        print(voice.name, f"{loudness:.1f} LUFS", size, "bytes")


if __name__ == "__main__":
    main()
