"""Man pages: all of them, complete, and roff that no reader complains about."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.cli import manual
from cosyd.cli.group import COMMANDS
from cosyd.cli.options import SAY_OPTIONS
from cosyd.settings import SETTINGS

PAGES = manual.pages()
ROFF = next((name for name in ("mandoc", "groff") if shutil.which(name)), None)


def plain(page: str) -> str:
    """A page's source without what is only there for roff."""
    return page.replace("\\-", "-").replace("\\&", "").replace("\\fB", "").replace("\\fP", "")


def test_every_command_has_a_page() -> None:
    assert {"cosy.1", "cosyd.1"} <= set(PAGES)
    assert {f"cosy-{name}.1" for name in COMMANDS} <= set(PAGES)
    assert "cosy-daemon-start.1" in PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_page_has_its_parts_in_order(name: str) -> None:
    page = PAGES[name]
    assert page.startswith(f".TH {name.removesuffix('.1').upper()} 1 ")
    sections = re.findall(r"^\.SH (.+)$", page, re.MULTILINE)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert sections[-1] == "SEE ALSO"
    summary = page.split(".SH NAME\n")[1].split("\n")[0]
    assert re.fullmatch(r"[a-z\\-]+ \\- \S.*[^.]", summary), summary


@pytest.mark.parametrize("name", sorted(PAGES))
def test_no_line_is_a_request_by_accident(name: str) -> None:
    known = {".TH", ".SH", ".B", ".BR", ".PP", ".TP", ".nf", ".fi"}
    for line in PAGES[name].splitlines():
        assert not line.startswith("'"), line
        assert not line.startswith(".") or line.split(" ")[0] in known, line
        assert "`" not in line, line
    assert PAGES[name].count(".nf\n") == PAGES[name].count(".fi\n")


def test_see_also_names_pages_that_exist() -> None:
    for page in PAGES.values():
        for name in re.findall(r"^\.BR (\S+) \(1\)", page, re.MULTILINE):
            assert f"{plain(name)}.1" in PAGES


def test_all_options_of_say_are_told() -> None:
    page = plain(PAGES["cosy-say.1"])
    for option in SAY_OPTIONS:
        assert option.flags[-1] in page
        assert option.help in page
    assert "-h, --help" in page


def test_all_settings_of_the_daemon_are_told() -> None:
    page = plain(PAGES["cosyd.1"])
    for setting in SETTINGS:
        assert f"{setting.flag} " in page and setting.variables[-1] in page
        assert setting.help in page


@pytest.mark.skipif(ROFF is None, reason="neither mandoc nor groff is installed")
@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_formatter_has_nothing_to_complain_about(name: str) -> None:
    lint = {"mandoc": ["-T", "lint", "-W", "warning"], "groff": ["-man", "-Tutf8", "-ww", "-z"]}
    assert ROFF is not None
    done = subprocess.run(
        [ROFF, *lint[ROFF]], input=PAGES[name].encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@given(st.text(st.sampled_from("ab .'\\-`\n\"…"), max_size=40))
def test_text_comes_out_as_it_went_in(text: str) -> None:
    source = f'.TH X 1 "" "" ""\n.SH NAME\n.nf\n>{manual._escaped(text)}<\n.fi\n'
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=900n"],
        input=source.encode(),
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    printed = done.stdout.decode().split(">", 1)[1].rsplit("<", 1)[0]
    expected = re.sub(r"`([^`]+)`", r"\1", text.replace("…", "..."))
    assert "".join(printed.split()) == "".join(expected.split())


def test_the_command(cosy: Any) -> None:
    assert cosy("man", "say").stdout.decode() == PAGES["cosy-say.1"]
    assert cosy("man", "cosyd").stdout.decode() == PAGES["cosyd.1"]
    unknown = cosy("man", "nothing")
    assert unknown.returncode == 1 and b" cosy-say, " in unknown.stderr
