"""Orders and reports: every one round trips, wrong ones are refused."""

from __future__ import annotations

from typing import Any

import pytest

from cosyd.link.orders import ORDERS, REPORTS, check_order, check_report, decoder, pack
from cosyd.wire.fields import REQUIRED, Field, FieldError

SAMPLES: dict[str, Any] = {"int": 3, "float": 1.5, "str": "x", "bool": True, "bin": b"\1\2"}


def example(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {field.name: SAMPLES[field.kind] for field in fields}


@pytest.mark.parametrize("kind", [*ORDERS, *REPORTS])
def test_round_trip(kind: str) -> None:
    table, check = (ORDERS, check_order) if kind in ORDERS else (REPORTS, check_report)
    fields = example(table[kind])
    incoming = decoder()
    incoming.feed(pack(kind, **fields))
    message = incoming.next_message()
    assert message is not None and message["type"] == kind and check(message) == fields


@pytest.mark.parametrize("kind", [*ORDERS, *REPORTS])
def test_missing_fields_are_named(kind: str) -> None:
    table, check = (ORDERS, check_order) if kind in ORDERS else (REPORTS, check_report)
    for field in table[kind]:
        if field.default is not REQUIRED:
            continue
        fields = example(table[kind])
        del fields[field.name]
        with pytest.raises(FieldError, match=field.name):
            check({"type": kind, **fields})


def test_unknown_types_are_refused() -> None:
    with pytest.raises(KeyError):
        check_order({"type": "dance"})
    with pytest.raises(KeyError):
        check_report({"type": "dance"})
