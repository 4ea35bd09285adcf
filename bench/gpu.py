"""CosyVoice 2 on a CUDA card, all in one call: `python -m bench.gpu [--write-docs]`.

Random weights unless `--release` names a real release: speed and memory are the same.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import torch

from bench import gpu_card, gpu_daemon, gpu_engine
from bench.figures import Figure, Findings
from bench.gpu_parts import Parts, equality, parity, profile
from bench.home import ROOT
from bench.machine import this_machine
from bench.report import replace_block, tables
from bench.store import DOCS
from cosyd.engines.cosyvoice2.device import Device, prepare
from cosyd.errors import CosydError

GOLDEN: Final = ROOT / "tests" / "golden" / "cosyvoice2"
CPU: Final = torch.device("cpu")
NO_CARD: Final = 2
TYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TEXT: Final = "The quick brown fox jumps over the lazy dog."
"""Random weights go on to the limit, 20 speech tokens for each of text: some ten seconds."""
SHORT: Final = "Oh."
Section = Callable[[], list[Figure]]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--release", type=Path, help="a real release instead of random weights")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, few repetitions")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tables into {DOCS}")
    return parser.parse_args(argv)


def _precisions(device: torch.device) -> list[str]:
    """The first is the one that `auto` means and that everything is measured in."""
    if device.type != "cuda":
        return ["fp32"]
    new = torch.cuda.get_device_capability(device)[0] >= 8
    return ["bf16", "fp16"] if new else ["fp16"]


def _parity(device: torch.device, precision: str) -> list[Figure]:
    """On the recorded tiny model, which `check` compares with the original."""
    reference = Parts(GOLDEN, CPU, torch.float32)
    found: list[Figure] = []
    for kind in ("fp32", precision):
        parts = Parts(GOLDEN, device, TYPES[kind])
        found += parity(reference, parts, 30)
        found += equality(parts, 30)[0]
        if kind == precision == "fp32":
            break
    return found


def _profile(release: Path, device: torch.device, precision: str, times: int) -> list[Figure]:
    parts = Parts(release, device, TYPES[precision])
    found = profile(parts, times=times, label="eager")
    same, report = equality(parts, 30)
    counts = f"{report.decode_graphs} for decoding, {report.flow_graphs} for the flow"
    seconds = Figure("graphs", "captured in", report.seconds, "s", None, counts)
    return [*found, *same, seconds, *profile(parts, times=times, label="graphs")]


def sections(
    data: Path, device: torch.device, release: Path | None, *, tiny: bool
) -> Iterator[tuple[str, Section]]:
    """Names and what measures them, in their order.

    Args:
        data: an empty directory, for weights and voice.
        device: where to measure.
        release: a real one, or None.
        tiny: see `gpu_card.prepare`.
    """
    pack = gpu_card.prepare(data, release, tiny=tiny)
    times, most, text = (1, 4, SHORT) if tiny else (20, 16, TEXT)
    first, *others = _precisions(device)
    model = data / "models" / gpu_card.MODEL
    # First, while this process holds nothing on the card.
    yield "daemon", lambda: gpu_daemon.figures(data, device, first, text)
    yield "parity", lambda: _parity(device, first)
    for kind in (first, *others):
        yield (
            f"engine, {kind}",
            lambda kind=kind: gpu_engine.figures(  # type: ignore[misc]  # a default
                data, pack, device, kind, text, times=times, most=most
            ),
        )
    yield "profile", lambda: _profile(model, device, first, 1 if tiny else 30)


def measure(device: torch.device, release: Path | None, *, tiny: bool) -> Findings:
    """All sections; what fails is told, and costs the others nothing."""
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="cosy-gpu-") as folder:
        for name, section in sections(Path(folder), device, release, tiny=tiny):
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                findings.figures += section()
            except (RuntimeError, OSError, ValueError, CosydError) as error:
                findings.skipped[name] = str(error).partition("\n")[0] or type(error).__name__
            if device.type == "cuda":
                gc.collect()  # what was captured refers to itself
                torch.cuda.empty_cache()
    return findings


def document(findings: Findings, device: torch.device, release: Path | None) -> str:
    """The block for the page."""
    weights = "a real release" if release else "random weights of full size"
    head = f"{gpu_card.name(device)}, {weights}, torch {torch.__version__}; {this_machine().line()}"
    return f"{head}.\n\n{tables(findings, markdown=True)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and tell. 0 if all sections ran, 1 if one failed, 2 without a card."""
    args = _arguments(argv)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here: run it on a machine with one", file=sys.stderr)
        return NO_CARD
    if args.tiny:
        torch.set_num_threads(1)
    prepare(Device(device, torch.float32, torch.float32))
    findings = measure(device, args.release, tiny=args.tiny)
    print(f"{gpu_card.name(device)}\n\n{tables(findings, markdown=False)}\n")
    print(f"{len(findings.missed)} of the figures with a target missed it.")
    if args.write_docs:
        block = document(findings, device, args.release)
        DOCS.write_text(replace_block(DOCS.read_text(), "gpu", block))
        print(f"Tables: {DOCS}")
    return 1 if findings.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
