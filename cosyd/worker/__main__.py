"""`python -m cosyd.worker --engine E --model M --link-fd N`: what the daemon starts."""

from __future__ import annotations

import argparse
import importlib
import os
import socket
import sys
import time
from pathlib import Path

from cosyd.audio.chain import Chain
from cosyd.engines.base import Engine, Settings
from cosyd.engines.registry import find
from cosyd.errors import CosydError, EngineNotInstalled
from cosyd.link.orders import pack
from cosyd.logs import set_up
from cosyd.worker.boundary import attempt
from cosyd.worker.loop import Worker
from cosyd.worker.memory import memory

_PR_SET_PDEATHSIG = 1
_NOTHING_LEAVES_THIS_MACHINE = {
    "ORT_DISABLE_TELEMETRY": "1",  # official onnxruntime builds for Linux report usage by default
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by libraries when they are imported."""


def _die_with_the_daemon() -> None:
    """Even a step that never lets the link's thread run must not outlive the daemon."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _load(engine: str, model: str, settings: Settings) -> Engine:
    descriptor = find(engine)
    if descriptor is None:
        raise EngineNotInstalled(f"no engine is called {engine!r}")
    module, _, name = descriptor.factory.partition(":")
    loaded: Engine = getattr(importlib.import_module(module), name)(model, settings)
    loaded.warm_up()
    Chain(loaded.sample_rate, 48_000, 1.0, "s16le").flush()  # soxr's first use takes some ms too
    return loaded


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cosyd.worker")
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--link-fd", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--log-level", default="info")
    return parser.parse_args()


def main() -> int:
    """Load, report, obey."""
    start = time.perf_counter()
    args = _arguments()
    os.dup2(2, 1)  # what libraries print belongs into the log
    os.nice(args.nice)
    os.environ.update(_NOTHING_LEAVES_THIS_MACHINE)
    _die_with_the_daemon()
    set_up(args.log_level)
    link = socket.socket(fileno=args.link_fd)
    link.set_inheritable(False)
    settings = Settings(args.data_dir, args.device, args.precision)
    engine = attempt(lambda: _load(args.engine, args.model, settings))
    if isinstance(engine, CosydError):
        link.sendall(pack("load_failed", code=engine.code, message=engine.message))
        return 1
    load_ms = (time.perf_counter() - start) * 1000
    link.sendall(pack("ready", load_ms=load_ms, device=engine.device, **memory()))
    Worker(engine, link).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
