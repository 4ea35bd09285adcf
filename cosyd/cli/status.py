"""`cosy status`: what the daemon is doing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from cosyd.cli.failure import DONE
from cosyd.cli.human import duration, json_option, plural, show_json, size
from cosyd.cli.reach import reach_running

NOT_RUNNING_LINE = "cosyd is not running; it starts by itself when you say something."

_STARTED_BY: Final = {
    "systemd": "started by systemd",
    "launchd": "started by launchd",
    "self": "started by a client",
}


@click.command("status")
@json_option
def command(as_json: bool) -> int:
    """Show what the daemon does: models, memory, who speaks, when things are unloaded.

    Starts no daemon, and succeeds where none runs; to test for one in a script there is
    `cosy daemon status`. Who speaks and who waits: `cosy ps`.
    """
    client = reach_running()
    if client is None:
        status = None
    else:
        with client:
            status = client.status()
    if as_json:
        show_json({"running": status is not None, **(status or {})})
    else:
        click.echo("\n".join(describe(status)) if status else NOT_RUNNING_LINE)
    return DONE


def describe(status: dict[str, Any]) -> Iterator[str]:
    """The lines for a person."""
    yield headline(status)
    yield f"  {_speaking(status['utterances'])}"
    if failures := (status.get("metrics") or {}).get("failures"):
        yield f"  failed with {', '.join(f'{c} ({n})' for c, n in sorted(failures.items()))}"
    if status["ttfa_ms"].get("count"):
        yield f"  {_speed(status)}"
    for model in status["models"]:
        yield f"  {_model(model)}"
    if not status["models"]:
        yield "  no model in memory"
    leaves_in = status.get("idle_exit_in_s")
    if leaves_in is not None:
        yield f"  stops by itself in {duration(leaves_in)}"


def headline(status: dict[str, Any]) -> str:
    """One line: that it runs, since when, and as what."""
    line = (
        f"cosyd {status['version']} is running: process {status['pid']}, "
        f"up {duration(status['uptime_s'])}, {size(status['rss_bytes'])}"
    )
    by = _STARTED_BY.get(status.get("activation", ""))
    return f"{line}, {by}" if by else line


def _speaking(counts: dict[str, int]) -> str:
    now = f"speaking {counts['active']}, waiting {counts['queued']}"
    ended = {"finished": "spoken", "stopped": "stopped", "failed": "failed"}
    past = ", ".join(f"{counts[key]} {word}" for key, word in ended.items() if counts[key])
    return f"{now}; so far {past}" if past else now


def _speed(status: dict[str, Any]) -> str:
    first, factor = status["ttfa_ms"], status["rtf"]
    told = f"first sound after {first['p50']:.0f} ms (p95 {first['p95']:.0f} ms)"
    if factor.get("count"):  # only what was finished counts there
        told += f", computing takes {factor['p50']:.2f} of the playing time"
    return told


def _model(model: dict[str, Any]) -> str:
    """One model. What is not known yet, as while it loads, is left out."""
    if model.get("fault"):
        return f"{model['model']}: not tried at the moment: {model['fault']}"
    parts = [f"{model['model']}: {model['state']}"]
    if model.get("device"):
        parts[0] += f" on {model['device']}"
    if model.get("rss_bytes") is not None:
        parts.append(size(model["rss_bytes"]))
    if model.get("vram_bytes") is not None:
        parts.append(f"{size(model['vram_bytes'])} on the GPU")
    if model["users"]:
        parts.append(plural(model["users"], "utterance"))
    if model.get("expires_in_s") is not None:
        parts.append(f"unloads in {duration(model['expires_in_s'])}")
    if model.get("retry_in_s") is not None:
        parts.append(f"it died and is tried again in {duration(model['retry_in_s'])}")
    if model["restarts"]:
        parts.append(f"restarted {plural(model['restarts'], 'time')}")
    return ", ".join(parts)
