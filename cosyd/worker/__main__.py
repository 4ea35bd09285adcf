"""`python -m cosyd.worker --engine E --model M --link-fd N`: what the daemon starts."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import select
import socket
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from cosyd.audio.chain import Chain
from cosyd.engines.base import Engine, Settings
from cosyd.engines.registry import find
from cosyd.errors import CosydError, EngineNotInstalled
from cosyd.lifeline import end_with_parent
from cosyd.link.orders import pack
from cosyd.logs import event, set_up
from cosyd.worker import BEGAN
from cosyd.worker.boundary import attempt
from cosyd.worker.loop import Worker
from cosyd.worker.memory import memory

_LOG = logging.getLogger("cosyd.worker")
_NOTHING_LEAVES_THIS_MACHINE = {
    "ORT_DISABLE_TELEMETRY": "1",  # official onnxruntime builds for Linux report usage by default
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by libraries when they are imported."""


def _is_alone(link: socket.socket) -> bool:
    """Whether the daemon ended before we could ask to end with it."""
    poll = select.poll()
    poll.register(link, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def _load(engine: str, model: str, settings: Settings) -> Engine:
    descriptor = find(engine)
    if descriptor is None:
        raise EngineNotInstalled(f"no engine is called {engine!r}")
    module, _, name = descriptor.factory.partition(":")
    began = time.perf_counter()
    loaded: Engine = getattr(importlib.import_module(module), name)(model, settings)
    had_loaded = time.perf_counter()
    loaded.warm_up()
    Chain(loaded.sample_rate, 48_000, 1.0, "s16le").flush()  # soxr's first use takes some ms too
    ends = {"start_ms": began, "load_ms": had_loaded, "warm_up_ms": time.perf_counter()}
    spans = zip(ends, pairwise([BEGAN, *ends.values()]), strict=True)
    times: dict[str, Any] = {name: round((end - begin) * 1000, 1) for name, (begin, end) in spans}
    event(_LOG, "warmed up", model=model, device=loaded.device, **times)
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
    parser.add_argument("--log-format", default="text")
    return parser.parse_args()


def main() -> int:
    """Load, report, obey."""
    start = time.perf_counter()
    args = _arguments()
    os.dup2(2, 1)  # what libraries print belongs into the log
    os.nice(args.nice)
    os.environ.update(_NOTHING_LEAVES_THIS_MACHINE)
    end_with_parent()  # even a load, or a step that never lets the link's thread run
    set_up(args.log_level, args.log_format)
    link = socket.socket(fileno=args.link_fd)
    link.set_inheritable(False)
    if _is_alone(link):
        return 1
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
