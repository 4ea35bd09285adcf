"""The tables of messages hang together."""

from __future__ import annotations

import pytest

from cosyd.wire.fields import KINDS, Field
from cosyd.wire.messages import ANSWERS, CLIENT, SERVER, TERMINAL
from cosyd.wire.states import CLIENT_UTTERANCE


@pytest.mark.parametrize("table", [CLIENT, SERVER], ids=["client", "server"])
def test_fields_are_of_known_kinds_and_named_once(table: dict[str, tuple[Field, ...]]) -> None:
    for kind, fields in table.items():
        names = [field.name for field in fields]
        assert len(set(names)) == len(names), kind
        assert {field.kind for field in fields} <= KINDS.keys()


def test_every_request_has_an_answer_that_can_carry_its_ref() -> None:
    controls = {"say", "text", "pause", "resume", "stop"}
    assert ANSWERS.keys() == CLIENT.keys() - controls
    for request, answer in ANSWERS.items():
        assert "ref" in {field.name for field in CLIENT[request]}, request
        assert "ref" in {field.name for field in SERVER[answer]}, answer
    assert "ref" in {field.name for field in SERVER["error"]}


def test_messages_about_an_utterance_carry_its_id_and_have_a_state() -> None:
    of_utterances = {kind for _, kind in CLIENT_UTTERANCE}
    with_id = {kind for kind, fields in SERVER.items() if fields and fields[0].name == "id"}
    assert of_utterances == with_id
    assert with_id >= TERMINAL
