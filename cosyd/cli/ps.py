"""`cosy ps`: who speaks and who waits. Never what is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from cosyd.cli.failure import DONE, Failure
from cosyd.cli.human import duration, json_option, show_json, table
from cosyd.cli.reach import reach_running
from cosyd.wire.states import BEGUN

_HEAD: Final = ("STATE", "VOICE", "MODEL", "CHANNEL", "CLIENT", "AGE", "POSITION")
NOTHING: Final = "Nothing is being spoken."


@click.command("ps")
@json_option
def command(as_json: bool) -> int:
    """List what is being spoken and what waits: voice, channel, who asked, how far it is.

    The texts themselves are shown nowhere.
    """
    spoken = _open_utterances()
    if as_json:
        show_json({"utterances": spoken})
    elif spoken:
        click.echo(table([_HEAD, *rows(spoken)]))
    else:
        click.echo(NOTHING)
    return DONE


def _open_utterances() -> list[dict[str, Any]]:
    client = reach_running()
    if client is None:
        return []
    with client:
        found = client.status().get("open_utterances")
    if found is None:
        raise Failure("the daemon is older than this command: type `cosy daemon restart`")
    return list(found)


def rows(utterances: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row of the table for each of the status's `open_utterances`."""
    places = _places(utterances)
    for number, each in enumerate(utterances):
        yield (
            each["state"],
            shown(each["voice"]),
            shown(each["model"]),
            shown(each["channel"]),
            shown(each["client"]),
            duration(each["age_s"]),
            f"waits, number {places[number]}" if number in places else _progress(each),
        )


def _places(utterances: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Index → place in the queue of its model, for those that have not begun."""
    waiting = [n for n, each in enumerate(utterances) if each["state"] not in BEGUN]
    passed: Counter[str] = Counter()
    places = {}
    for number in sorted(waiting, key=lambda n: -utterances[n]["priority"]):  # keeps age's order
        passed[utterances[number]["model"]] += 1
        places[number] = passed[utterances[number]["model"]]
    return places


def _progress(utterance: dict[str, Any]) -> str:
    told = f"{utterance['audio_s']:.0f} s"
    if utterance["chars"]:
        told += f", {min(1.0, utterance['text_end'] / utterance['chars']):.0%} of the text"
    return told


def shown(name: str | None) -> str:
    """A name that a client chose, without what could move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in name or "") or "-"
