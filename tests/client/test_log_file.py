"""The log file of a daemon that a client starts has a bound."""

from __future__ import annotations

from typing import Any

from cosyd.client.autostart import LOG_BYTES
from cosyd.client.sync import connect


def test_a_long_log_makes_way_for_the_next_daemon(home: Any) -> None:
    with home.log.open("wb") as log:
        log.truncate(LOG_BYTES + 1)
        inode = home.log.stat().st_ino
    with connect() as client:
        first = client.hello.pid
    aside = home.log.with_name(f"{home.log.name}.1")
    assert (aside.stat().st_ino, aside.stat().st_size) == (inode, LOG_BYTES + 1)
    assert f"[{first}] listening" in home.log.read_text()


def test_a_short_log_goes_on(home: Any) -> None:
    home.log.write_text("before\n")
    with connect() as client:
        assert client.hello.pid
    assert home.log.read_text().startswith("before\n")
    assert not home.log.with_name(f"{home.log.name}.1").exists()


def test_a_linked_log_stays_linked(home: Any) -> None:
    real = home.folder / "elsewhere" / "log"
    real.parent.mkdir()
    with real.open("wb") as log:
        log.truncate(LOG_BYTES + 1)
    home.log.symlink_to(real)
    with connect() as client:
        assert client.hello.pid
    assert home.log.is_symlink()
    assert real.with_name("log.1").stat().st_size == LOG_BYTES + 1
    assert "listening" in real.read_text()
