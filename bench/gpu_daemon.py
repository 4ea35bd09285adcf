"""Through the real daemon: what the card's driver says before, while and after."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from bench.figures import Figure
from bench.gpu_card import MODEL, VOICE, driver_mb
from bench.home import home, wait_for_end


def figures(data: Path, device: torch.device, precision: str, text: str) -> list[Figure]:
    """Load, speak and unload once; the first audio of a second utterance.

    Args:
        data: a data directory with the model and the voice.
        device: where it computes.
        precision: in which numbers.
        text: what is said.
    """
    before = driver_mb(device)
    with home() as found:
        asked = {"DATA_DIR": str(data), "DEVICE": str(device), "PRECISION": precision}
        os.environ.update({f"COSYD_{name}": value for name, value in asked.items()})
        with found.connect() as client:
            for _ in range(2):
                utterance = client.say(text, voice=VOICE)
                for _frame in utterance:
                    pass
            (model,) = [each for each in client.status()["models"] if each["model"] == MODEL]
            speaking = driver_mb(device)
            told = model.get("vram_bytes")
            client.unload(model=MODEL)
            wait_for_end(model["pid"])
        after = driver_mb(device)
    known = [
        ("before loading", before),
        ("model resident, after speaking", speaking),
        ("after the worker's end", after),
        ("the worker's share, as `cosy status` tells it", told and told / 1e6),
    ]
    return [
        Figure("daemon", f"memory on the card, {name}", value, "MB")
        for name, value in known
        if value is not None
    ] + [Figure("daemon", "the worker's resident memory", model["rss_bytes"] / 1e6, "MB")]
