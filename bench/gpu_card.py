"""The card, as its driver and torch see it; and a release to measure with."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import torch
import yaml

from cosyd.engines.cosyvoice2 import layout, random_release
from cosyd.voices.voicepack import Voicepack, load

MODEL: Final = "CosyVoice2-0.5B"
VOICE: Final = "bench"
_NEVER: Final = -1e4
"""Bias of the ids that end the speech, so that all of it is as long as it may be."""


def driver_mb(device: torch.device) -> float | None:
    """Memory in use on the card, of all processes, in 10⁶ bytes; None: no driver tells."""
    if device.type != "cuda":
        return None
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            [*asked, f"--id={device.index or 0}"], capture_output=True, text=True, check=True
        )
        return float(told.stdout.split()[0]) * 2**20 / 1e6
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None


def name(device: torch.device) -> str:
    """The card's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "no card: the CPU"


def wait(device: torch.device) -> None:
    """Until the card has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def prepare(data: Path, release: Path | None, *, tiny: bool) -> Voicepack:
    """Lay out a data directory with a model and a voice.

    Args:
        data: the directory, empty.
        release: a real one; None: one with random weights is made, which never stops by itself.
        tiny: of a few MB.
    """
    place = data / "models" / MODEL
    place.parent.mkdir(parents=True)
    if release is None:
        random_release.write(place, random_release.TINY if tiny else random_release.FULL)
        _never_end(place / layout.LLM)
    else:
        place.symlink_to(release.resolve())
    folder = data / "voicepacks" / "cosyvoice2" / VOICE
    folder.mkdir(parents=True)
    manifest = {
        "name": VOICE,
        "family": "cosyvoice2",
        "model_id": MODEL,
        "languages": ["en", "zh"],
        "capabilities": ["streaming"],
        "audio": {"sample_rate": 24_000},
        "license": "Apache-2.0",
        "speaker": _speaker(place),
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return load(folder)


def _never_end(path: Path) -> None:
    tensors = torch.load(path, weights_only=True)
    tensors["llm_decoder.bias"][-3:] = _NEVER
    torch.save(tensors, path)


def _speaker(release: Path) -> str:
    speakers = torch.load(release / layout.SPEAKERS, weights_only=True)
    return str(next(iter(speakers)))
