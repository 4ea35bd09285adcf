"""Models as `status` shows them, and what the daemon does in one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from cosyd.daemon.memory import rss_bytes
from cosyd.daemon.model import Model
from cosyd.daemon.utterance import Utterance

_SHOWN: Final = {"waiting": "loading", "resting": "loading", "broken": "loading"}
"""The contract has four states; in these three the next thing to happen is that it loads."""


def model_entry(model: Model, now: float) -> dict[str, Any]:
    """One of `status`' models."""

    def since(moment: float | None) -> float | None:
        return None if moment is None else round(now - moment, 3)

    expires_at = model.expiry.expires_at
    pid = model.worker.pid
    rss = rss_bytes(pid) if pid else None
    state = "speaking" if model.speaking and model.state == "ready" else model.state
    retry_in_s = model.crashes.retry_in_s
    return {
        "model": model.name,
        "engine": model.engine.name,
        "state": _SHOWN.get(state, state),
        "pid": pid,
        "device": model.worker.device,
        "loaded_s": since(model.worker.loaded_at),
        "idle_s": since(model.expiry.idle_since),
        "expires_in_s": None if expires_at is None else round(expires_at - now, 3),
        "users": model.users,
        "rss_bytes": rss or (pid and model.worker.memory.get("rss_bytes")) or 0,
        "vram_bytes": model.worker.memory.get("vram_bytes"),
        "restarts": model.restarts,
        "crashes": model.crashes.in_a_row,
        "retry_in_s": None if retry_in_s is None else round(retry_in_s, 3),
        "fault": model.fault,
    }


def activity(utterances: Iterable[Utterance], models: Iterable[Model]) -> str:
    """What is going on, for a service manager's status line; nothing of what is spoken."""
    states = [utterance.state for utterance in utterances]
    waiting = sum(state in ("queued", "held") for state in states)
    named = {
        kind: [model.name for model in models if model.state == kind]
        for kind in ("waiting", "loading", "ready", "resting", "broken")
    }
    doing = [
        f"loading {', '.join(named['loading'])}" if named["loading"] else "",
        f"speaking {len(states) - waiting}" if len(states) > waiting else "",
        f"{waiting} waiting" if waiting else "",
    ]
    kept = [
        f"{', '.join(named['ready'])} resident" if named["ready"] else "",
        f"{', '.join(named['waiting'])} waiting for room" if named["waiting"] else "",
        f"{', '.join(named['resting'])} restarting" if named["resting"] else "",
        f"{', '.join(named['broken'])} keeps dying" if named["broken"] else "",
    ]
    return "; ".join([", ".join(filter(None, doing)) or "idle", *filter(None, kept)])
