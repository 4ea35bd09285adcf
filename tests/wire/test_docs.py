"""docs/protocol.md says what the code does: every message, field, limit, error and state."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cosyd.errors import BY_CODE, CosydError
from cosyd.wire import messages
from cosyd.wire.fields import REQUIRED, Field
from cosyd.wire.framing import MAX_DEPTH, MAX_VALUES
from cosyd.wire.messages import ANSWERS, CLIENT, SERVER
from cosyd.wire.states import CLIENT_UTTERANCE, UTTERANCE

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
GOLDEN = json.loads((ROOT / "tests" / "golden" / "wire.json").read_text(encoding="utf-8"))


def _section(heading: str) -> str:
    """The text below one heading, up to the next one of the same or a higher level."""
    level = heading.split(" ")[0]
    start = DOC.index(f"\n{heading}\n") + len(heading) + 2
    after = re.search(rf"^#{{1,{len(level)}}} ", DOC[start:], re.MULTILINE)
    return DOC[start : start + after.start()] if after else DOC[start:]


def _default(field: Field) -> str:
    if field.default is REQUIRED:
        return "required"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


def _range(field: Field) -> str:
    if field.choices:
        return ", ".join(f"`{choice}`" for choice in field.choices)
    unit = {"str": " characters", "bin": " bytes"}.get(field.kind, "")
    parts = []
    if field.low is not None and field.high is not None:
        parts.append(f"{field.low:.12g} to {field.high:.12g}")
    elif field.high is not None:
        parts.append(f"at most {field.high:g}{unit}")
    elif field.low is not None:
        parts.append(f"at least {field.low:g}")
    parts += [f"{value:g}" for value in dict.fromkeys(field.also)]
    return " or ".join([*parts, *(["nil"] if field.nil else [])])


def row(field: Field) -> str:
    """The first four columns of a field's row."""
    return f"| `{field.name}` | {field.kind} | {_default(field)} | {_range(field)} |"


SIDES: dict[str, dict[str, tuple[Field, ...]]] = {
    "Client to server": CLIENT,
    "Server to client": SERVER,
}
MESSAGES = [
    pytest.param(side, kind, fields, id=f"{side}-{kind}")
    for side, table in SIDES.items()
    for kind, fields in table.items()
]


@pytest.mark.parametrize(("side", "kind", "fields"), MESSAGES)
def test_every_message_has_its_table(side: str, kind: str, fields: tuple[Field, ...]) -> None:
    section = _section(f"## {side}")
    start = section.index(f"\n### {kind}\n")
    end = section.find("\n### ", start + 1)
    rows = [line for line in section[start:end].splitlines() if line.startswith("| `")]
    told = ["|".join(line.split("|")[:5]) + "|" for line in rows]
    assert told[: len(fields)] == [row(field) for field in fields]


@pytest.mark.parametrize("side", list(SIDES))
def test_no_message_is_told_that_does_not_exist(side: str) -> None:
    assert re.findall(r"^### (\w+)$", _section(f"## {side}"), re.MULTILINE) == list(SIDES[side])


@pytest.mark.parametrize(("asked", "answer"), ANSWERS.items())
def test_answers_are_told(asked: str, answer: str) -> None:
    section = _section("## Client to server")
    start = section.index(f"\n### {asked}\n")
    assert f"Answer: `{answer}`" in section[start : section.find("\n### ", start + 1)]


LIMITS = {
    "protocol version": messages.VERSION,
    "bytes of a client's message": messages.MAX_CLIENT_MESSAGE_BYTES,
    "bytes of a server's message": messages.MAX_SERVER_MESSAGE_BYTES,
    "levels of nesting": MAX_DEPTH,
    "values in one message": MAX_VALUES,
    "characters in one message's text": messages.MAX_TEXT_CHARS,
    "characters in one utterance's text": messages.MAX_UTTERANCE_CHARS,
    "`text` messages of one utterance": messages.MAX_UTTERANCE_PIECES,
    "messages that one utterance's text comes in": messages.MAX_UTTERANCE_PIECES,
    "open utterances of one connection": messages.MAX_UTTERANCES,
    "connections": messages.MAX_CONNECTIONS,
    "packed bytes of a nonce": messages.MAX_NONCE_BYTES,
    "packed bytes of a ref": messages.MAX_REF_BYTES,
    "packed bytes of a `ref`": messages.MAX_REF_BYTES,
    "`load` and `add_voice` of one connection that wait for their answer": (
        messages.MAX_PENDING_ANSWERS
    ),
    'ms of audio ahead of the clock with `pace: "realtime"`': messages.REALTIME_LEAD_MS,
}


@pytest.mark.parametrize(("what", "value"), LIMITS.items())
def test_limits(what: str, value: int) -> None:
    assert f"| {what} | {value:,} |" in _section("## Limits")


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=list(BY_CODE))
def test_every_error_is_told(kind: type[CosydError]) -> None:
    retryable = "yes" if kind.retryable else "no"
    assert f"| `{kind.code}` | `{kind.__name__}` | {retryable} |" in _section("## Errors")


def test_no_error_is_told_that_does_not_exist() -> None:
    told = re.findall(r"^\| `(\w+)` \|", _section("## Errors"), re.MULTILINE)
    assert told == list(BY_CODE)


def diagram(table: dict[tuple[Any, Any], Any]) -> str:
    """A state table as a mermaid diagram; the first state of the table is where it begins."""
    states = list(dict.fromkeys([state for state, _ in table]))
    lines = ["stateDiagram-v2", f"    [*] --> {states[0]}"]
    lines += [f"    {state} --> {after}: {event}" for (state, event), after in table.items()]
    return "\n".join([*lines, "    ended --> [*]"])


@pytest.mark.parametrize(
    ("heading", "table"),
    [("### In the daemon", UTTERANCE), ("### As the client sees it", CLIENT_UTTERANCE)],
)
def test_diagrams_are_the_tables(heading: str, table: dict[tuple[Any, Any], Any]) -> None:
    assert f"```mermaid\n{diagram(table)}\n```" in _section(heading)


def _keys(value: Any) -> set[str]:
    """Names below the top level of a message."""
    if isinstance(value, list):
        return set().union(*map(_keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    inner = [_keys(entry) for entry in value.values()]
    return set().union(value.keys(), *inner)


@pytest.mark.parametrize("kind", ["hello", "finished", "status", "voices"])
def test_names_inside_maps_are_told(kind: str) -> None:
    message = next(m["message"] for m in GOLDEN["server"] if m["message"]["type"] == kind)
    section = _section("## Server to client")
    start = section.index(f"\n### {kind}\n")
    text = section[start : section.find("\n### ", start + 1)]
    codes = {"busy", "tone"}  # keys of `errors` are codes, those of `metrics.models` are models
    for name in _keys({key: value for key, value in message.items() if key != "type"}) - codes:
        assert f"`{name}`" in text, name


def test_golden_bytes_of_the_first_example() -> None:
    """The bytes shown in the text are those of the golden file."""
    shown = re.search(r"```text\n([0-9a-f \n]+)```", DOC)
    assert shown is not None
    bytes_shown = shown.group(1).replace("\n", "").replace(" ", "")
    assert bytes_shown in [case["hex"].replace(" ", "") for case in GOLDEN["client"]]
