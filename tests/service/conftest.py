"""A login whose systemd has the units that `cosy install` makes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.manager import UserManager, why_not

VOICEPACKS = Path(__file__).parents[1] / "voicepacks"
_REASON = why_not()

# There is no journal in such a login. The limits go because the tests let the daemon end far more
# often than its floor of 60 s allows.
SERVICE = """
[Unit]
StartLimitIntervalSec=0
[Service]
StandardOutput=append:{log}
StandardError=append:{log}
Environment=COSYD_VOICEPACKS={voicepacks} COSYD_VOICE=tone COSYD_VOICE_ZH=tone
Environment=COSYD_LOG_LEVEL=debug
ExecStart=
ExecStart={python} -P -m cosyd.daemon --idle-timeout {idle_s}
{more}
"""
SOCKET = """
[Socket]
TriggerLimitIntervalSec=0
"""


class Login(UserManager):
    """A user who has typed `cosy install`."""

    def cosy(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and complaints of a `cosy` command."""
        done = self.run(sys.executable, "-m", "cosyd.cli", *words)
        return done.returncode, done.stdout, done.stderr

    def install(self, idle_s: float = 60.0, more: str = "") -> None:
        """Install, with a test's changes."""
        code, _, complaint = self.cosy("install", "--systemd")
        assert code == 0, complaint
        self.settle(idle_s, more)

    def settle(self, idle_s: float, more: str = "") -> None:
        """Change how long the daemon stays, or anything else of the service; none runs after."""
        self.drop_in("cosyd.socket", SOCKET)
        text = SERVICE.format(
            log=self.log, voicepacks=VOICEPACKS, python=sys.executable, idle_s=idle_s, more=more
        )
        self.drop_in("cosyd.service", text)
        self.systemctl("stop", "cosyd.service")

    def pid(self) -> int:
        """Of the daemon that systemd runs; 0: none."""
        return int(self.show("cosyd.service", "MainPID"))


@pytest.fixture(scope="module")
def login() -> Iterator[Login]:
    """A login of this module's own; its programs' environment is ours meanwhile."""
    if _REASON is not None:
        pytest.skip(_REASON)
    found = Login()
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith(("COSYD_", "XDG_", "DBUS_")):
                patch.delenv(name)
        for name, value in found.env.items():
            patch.setenv(name, value)
        try:
            yield found
            said = found.log.read_text() if found.log.exists() else ""
            assert "Traceback" not in said, said
        finally:
            found.close()
