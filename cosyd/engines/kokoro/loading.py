"""Loading Kokoro: onnxruntime builds the graph on one core, Python imports the rest on another."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosyd.engines.base import Settings
from cosyd.engines.kokoro import DESCRIPTOR, weights
from cosyd.errors import EngineNotInstalled, ModelLoadFailed, ModelNotFound, OutOfMemory

if TYPE_CHECKING:
    from cosyd.engines.kokoro.engine import KokoroEngine


def load(model: str, settings: Settings) -> KokoroEngine:
    """The engine with its weights loaded; the factory of the descriptor.

    Raises:
        ModelNotFound: `model` is not Kokoro.
        ModelLoadFailed, EngineNotInstalled, OutOfMemory: see `weights` and `session`.
    """
    if model != weights.MODEL:
        raise ModelNotFound(f"no model {model!r}: kokoro's is {weights.MODEL!r}")
    path = weights.model_file(settings.data_dir / "models" / weights.MODEL)
    _import_onnxruntime()  # before anything else gets at Python's lock: all waits for the graph
    with ThreadPoolExecutor(1, "graph") as pool:
        building = pool.submit(session, path)
        from cosyd.engines.kokoro import engine, g2p_en

        g2p_en.load()
        return engine.KokoroEngine(building.result())


def session(path: Path) -> Any:
    """An onnxruntime session for the model file, on the CPU.

    Always the CPU: of the int8 graph's operators (dynamic quantisation) onnxruntime's CUDA
    provider implements few, so that tensors would be copied back and forth.

    Raises:
        EngineNotInstalled: onnxruntime is missing.
        OutOfMemory: no memory for it.
        ModelLoadFailed: anything else; the message names the file.
    """
    onnxruntime = _import_onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.log_severity_level = 4  # it would write to stderr what the exceptions say
    # Rewriting this graph costs a quarter of the load and changes neither speed nor one sample.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except MemoryError as error:
        raise OutOfMemory("no memory for Kokoro's 0.3 GB: unload another model") from error
    except (state.Fail, state.InvalidProtobuf, state.InvalidGraph, state.RuntimeException) as error:
        raise ModelLoadFailed(f"{path}: not a model: delete it and try again") from error


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineNotInstalled(f"onnxruntime is missing: {DESCRIPTOR.install}") from error
    return onnxruntime


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
