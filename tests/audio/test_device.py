"""Choosing a device by number, name or part of a name."""

from __future__ import annotations

import pytest

from cosyd.audio.device import Device, NoSuchDevice, pick

DEVICES = [
    Device(0, "HDA Intel PCH: ALC257 Analog", False),
    Device(3, "HDMI 0", False),
    Device(4, "HDMI 1", False),
    Device(7, "pulse", True),
    Device(8, "pulse extra", False),
]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [("3", 3), ("analog", 0), ("ALC257", 0), ("HDMI 1", 4), ("hdmi 1", 4), ("Pulse", 7)],
)
def test_one_matches(wanted: str, number: int) -> None:
    device = pick(DEVICES, wanted)
    assert device is not None
    assert device.number == number


@pytest.mark.parametrize("wanted", [None, ""])
def test_nothing_wanted_is_the_default(wanted: str | None) -> None:
    assert pick(DEVICES, wanted) is None


def test_several_match() -> None:
    with pytest.raises(NoSuchDevice) as caught:
        pick(DEVICES, "hdmi")
    assert str(caught.value) == "'hdmi' could be several devices: 3: HDMI 0; 4: HDMI 1"


def test_near_matches_are_named() -> None:
    with pytest.raises(NoSuchDevice) as caught:
        pick(DEVICES, "hdmy 0")
    assert str(caught.value) == "no sound device 'hdmy 0'; there are: 3: HDMI 0; 4: HDMI 1"


@pytest.mark.parametrize("wanted", ["9", "-1", "speakers of the neighbour"])
def test_without_near_matches_all_are_named(wanted: str) -> None:
    with pytest.raises(NoSuchDevice, match=r"ALC257.*HDMI 0.*HDMI 1.*7: pulse"):
        pick(DEVICES, wanted)


def test_the_default_has_a_star() -> None:
    assert [str(device) for device in DEVICES[2:4]] == ["  4: HDMI 1", "* 7: pulse"]
