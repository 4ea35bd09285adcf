"""Whose socket it is: our own goes with us, another one in its place stays."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosyd.daemon.door import InheritedDoor, OwnDoor
from cosyd.rendezvous import listen_at


@pytest.fixture
def path() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="cosyo", dir="/tmp")
    yield f"{folder}/s"
    shutil.rmtree(folder)


def can_connect(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def test_our_own_is_shut_reopened_and_removed(path: str) -> None:
    listener = listen_at(path)
    door = OwnDoor(path)
    Path(path).chmod(0o666)  # changes nothing of whose it is
    door.refuse(listener)
    assert not can_connect(path)
    again = door.reopen(listener)
    assert again is not None
    assert can_connect(path)
    door.remove()
    again.close()
    assert not Path(path).exists()
    door.remove()


def test_one_that_took_its_place_is_left_alone(path: str) -> None:
    listener = listen_at(path)
    door = OwnDoor(path)
    with listen_at(path):  # as systemd does it
        door.refuse(listener)
        assert door.reopen(listener) is None
        door.remove()
        assert can_connect(path)


def test_an_inherited_one_is_never_touched(path: str) -> None:
    with listen_at(path) as listener:
        door = InheritedDoor()
        door.refuse(listener)
        assert can_connect(path)
        assert door.reopen(listener) is listener
        door.remove()
        assert can_connect(path)
