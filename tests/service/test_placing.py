"""Whose a file is: as we wrote it, or edited since."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli.failure import Failure
from cosyd.cli.placing import Placer, is_ours, refuse_foreign, signed, state
from cosyd.cli.units import File

NAMES = ("cosyd.socket", "cosy.1", "_cosy", "org.cosyd.plist")
TEXT = "<?xml?>\n<!DOCTYPE x>\n<plist/>\n"


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1),
    name=st.sampled_from(NAMES),
)
def test_what_is_signed_is_ours_until_somebody_edits_it(text: str, name: str) -> None:
    ours = signed(File(Path(name), text))
    assert is_ours(ours)
    assert not is_ours(f"{ours}# mine\n")
    assert not is_ours(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_lines_stay_first(name: str) -> None:
    assert signed(File(Path(name), TEXT)).startswith("<?xml?>\n<!DOCTYPE x>\n")


def test_states(tmp_path: Path) -> None:
    file = File(tmp_path / "x" / "cosyd.socket", "[Socket]\n")
    told: list[str] = []
    assert state(file.path) == "absent"
    Placer(True, told.append).write(file)
    assert state(file.path) == "absent"
    placer = Placer(False, told.append)
    placer.write(file)
    assert state(file.path, signed(file)) == "same"
    placer.write(file)
    newer = file._replace(text="[Socket]\nBacklog=1\n")
    assert state(file.path, signed(newer)) == "ours"
    placer.write(newer)
    refuse_foreign([file.path], force=False)
    file.path.write_text(file.path.read_text().replace("=1", "=2"))
    assert state(file.path, signed(newer)) == "foreign"
    with pytest.raises(Failure, match="--force"):
        refuse_foreign([file.path], force=False)
    refuse_foreign([file.path], force=True)
    placer.remove(file.path)
    assert state(file.path) == "absent"
    words = [line.partition(str(tmp_path))[0].strip() for line in told]
    assert words == ["would write", "wrote", "unchanged", "wrote", "removed"]
    assert [*file.path.parent.iterdir()] == []


def test_what_is_not_even_text_is_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "cosyd.socket"
    file.write_bytes(b"\xff\xfe")
    assert state(file) == "foreign"
    assert state(tmp_path) == "foreign"
    assert state(file / "below") == "absent"
