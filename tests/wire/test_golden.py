"""Every message byte for byte: `tests/golden/wire.json`, for this client and for others'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosyd.wire.framing import Decoder, encode
from cosyd.wire.messages import CLIENT, MAX_CLIENT_MESSAGE_BYTES, SERVER, check_client, check_server

GOLDEN = Path(__file__).parents[1] / "golden" / "wire.json"
TABLES = {"client": CLIENT, "server": SERVER}
CHECKS = {"client": check_client, "server": check_server}


def _value(value: Any) -> Any:
    """JSON's value with {"hex": …} as bytes."""
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: _value(entry) for key, entry in value.items()}
    return [_value(entry) for entry in value] if isinstance(value, list) else value


CASES = [
    pytest.param(side, _value(case["message"]), bytes.fromhex(case["hex"]), id=f"{side}-{n}")
    for side, cases in json.loads(GOLDEN.read_text("utf-8")).items()
    for n, case in enumerate(cases)
]


@pytest.mark.parametrize(("side", "message", "packed"), CASES)
def test_encodes_to_the_bytes(side: str, message: dict[str, Any], packed: bytes) -> None:
    assert encode(message, MAX_CLIENT_MESSAGE_BYTES).hex() == packed.hex(), side


@pytest.mark.parametrize(("side", "message", "packed"), CASES)
def test_decodes_whole_and_byte_by_byte_and_with_trailing_bytes(
    side: str, message: dict[str, Any], packed: bytes
) -> None:
    whole = Decoder(MAX_CLIENT_MESSAGE_BYTES)
    whole.feed(packed + packed[:3])
    assert whole.next_message() == message, side
    assert whole.next_message() is None
    assert whole.pending_bytes == 3
    bytewise = Decoder(len(packed))
    for at in range(len(packed)):
        assert bytewise.next_message() is None
        bytewise.feed(packed[at : at + 1])
    assert bytewise.next_message() == message
    assert bytewise.pending_bytes == 0


@pytest.mark.parametrize(("side", "message", "packed"), CASES)
def test_passes_the_check_of_its_table(side: str, message: dict[str, Any], packed: bytes) -> None:
    known = CHECKS[side](message)
    assert len(packed) > 4
    for name, value in message.items():
        if name != "type":
            assert known[name] == value, f"{name} is not in the table of {message['type']}"


@pytest.mark.parametrize("side", ["client", "server"])
def test_every_field_of_every_message_is_shown(side: str) -> None:
    shown: dict[str, set[str]] = {kind: set() for kind in TABLES[side]}
    for case in CASES:
        if case.values[0] == side:
            message = case.values[1]
            assert isinstance(message, dict)
            shown[message["type"]] |= message.keys() - {"type"}
    for kind, fields in TABLES[side].items():
        missing = {field.name for field in fields} - shown[kind]
        assert missing <= ({"id"} if kind in ("pause", "resume", "stop") else set()), kind


def test_the_first_bytes_written_by_hand() -> None:
    """Against the msgpack specification, not against the library that made the file."""
    by_hand = bytes([0, 0, 0, 0x15, 0x82])  # 21 bytes, a map of two
    by_hand += b"\xa4type" + b"\xa5hello" + b"\xa7version" + b"\x01"
    assert CASES[1].values[2] == by_hand
