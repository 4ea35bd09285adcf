"""The typed fields of `say` are those of the wire."""

from __future__ import annotations

from cosyd.client.options import Say
from cosyd.wire.messages import SAY


def test_every_field_of_say_is_typed() -> None:
    given_otherwise = {"id", "text", "final"}
    assert Say.__annotations__.keys() | given_otherwise == {field.name for field in SAY}
