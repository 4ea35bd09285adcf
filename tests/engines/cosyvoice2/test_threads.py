"""Threads that wait are told to sleep, unless the user has said otherwise."""

from __future__ import annotations

import os

import pytest

from cosyd.engines.cosyvoice2.threads import wait_quietly


def test_the_user_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # so that it is put back afterwards
    monkeypatch.delenv("GOMP_SPINCOUNT")
    wait_quietly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert os.environ["GOMP_SPINCOUNT"] == "1000"
