"""Voicepacks and recordings for the tests of the whole engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import yaml

from cosyd.voices.voicepack import Voicepack, load

MODEL = "CosyVoice2-0.5B"


def record(path: Path, seconds: float = 2.0) -> None:
    """Something with a voice's rise and fall in it."""
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    loudness = 0.2 * (1 + np.sin(2 * np.pi * 3 * time_s)) / 2
    soundfile.write(path, loudness * np.sin(2 * np.pi * 160 * time_s), 16_000, format="WAV")


def cloned(root: Path, name: str = "ada", text: str = "What I said.", language: str = "en") -> Path:
    """Write a voicepack with two prompts to `root/cosyvoice2/name`."""
    folder = root / "cosyvoice2" / name
    (folder / "prompts").mkdir(parents=True)
    prompts = {"calm": 2.0, "happy": 1.5}
    for prompt, seconds in prompts.items():
        record(folder / "prompts" / f"{prompt}.wav", seconds)
    available = [
        {"name": prompt, "path": f"prompts/{prompt}.wav", "text": text} for prompt in prompts
    ]
    _write(folder, languages=[language], prompts={"default": "calm", "available": available})
    return folder


def of_release(root: Path, name: str = "own", speaker: str = "random") -> Path:
    """Write a voicepack of a speaker of the release to `root/cosyvoice2/name`."""
    folder = root / "cosyvoice2" / name
    folder.mkdir(parents=True)
    _write(folder, languages=["en", "zh"], speaker=speaker)
    return folder


def _write(folder: Path, **fields: object) -> None:
    manifest = {
        "name": folder.name,
        "family": "cosyvoice2",
        "model_id": MODEL,
        "capabilities": ["streaming", "instruct", "text_streaming", "speed"],
        "audio": {"sample_rate": 24_000},
        "license": "Apache-2.0",
        **fields,
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")


def voice(folder: Path, prompt: str | None = None) -> Voicepack:
    """The voicepack in a folder."""
    pack = load(folder)
    return pack if prompt is None else pack.with_prompt(prompt)
