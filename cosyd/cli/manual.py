"""Man pages, made from the commands themselves and from the table of settings."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import click

from cosyd.cli.failure import DONE, Failure
from cosyd.settings import SETTINGS
from cosyd.version import VERSION

EXIT_CODES: Final = (
    ("0", "Done; also if the reader of a pipe had enough and closed it."),
    ("1", "It failed; one line on standard error says why and what to type."),
    ("2", "The command line was wrong."),
    ("3", "`cosy daemon status`: no daemon runs."),
    ("128+n", "Ended by signal n: 130 is Ctrl-C, 143 is SIGTERM."),
)
FILES: Final = (
    ("~/.config/cosyd/config.toml", "Settings; see `cosy config`."),
    ("$XDG_RUNTIME_DIR/cosyd/cosyd.sock", "The daemon's socket, for its user alone."),
    ("~/.local/share/cosyd/models", "Models."),
    ("~/.local/share/cosyd/voicepacks", "Voices of your own."),
    ("~/.local/state/cosyd/log/cosyd.log", "Log of a daemon that a client started."),
)
ENVIRONMENT: Final = (
    ("COSYD_CONFIG", "Another settings file; - for none."),
    ("COSYD_…", "Any setting, such as COSYD_VOICE; `cosyd`(1) lists them all."),
    ("NO_COLOR", "If set, `cosy say -i` underlines instead of inverting."),
)
_CODE: Final = re.compile(r"`([^`]+)`(\(\d\))?")

Named = tuple[str, click.Command]
"""A command's full name, such as "cosy daemon start", and the command."""


@click.command("man")
@click.argument("page", default="cosy")
def command(page: str) -> int:
    """Show a man page, such as cosy-say or cosyd.

    \b
    Example:
      cosy man cosy-say
    """
    found = pages()
    text = found.get(f"{page}.1") or found.get(f"cosy-{page}.1")
    if text is None:
        raise Failure(f"no page {page!r}: there are {', '.join(n[:-2] for n in sorted(found))}")
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return DONE
    try:
        return subprocess.run(["man", "-l", "-"], input=text.encode(), check=False).returncode
    except FileNotFoundError as error:
        raise Failure(f"there is no `man` here: `cosy {page} --help` says it too") from error


def pages() -> dict[str, str]:
    """File name → roff, for `cosy`, each of its commands, and `cosyd`."""
    from cosyd.cli.group import cosy

    found = dict(_tree("cosy", cosy))
    names = [name.replace(" ", "-") for name in found]
    made = {
        f"{name.replace(' ', '-')}.1": "".join(_page(name, each, names))
        for name, each in found.items()
    }
    return {**made, "cosyd.1": "".join(_daemon_page())}


def _tree(name: str, command: click.Command) -> Iterator[Named]:
    yield name, command
    if isinstance(command, click.Group):
        for each, child in _children(command):
            yield from _tree(f"{name} {each}", child)


def _children(group: click.Group) -> Iterator[Named]:
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            child = group.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield name, child


def _page(name: str, command: click.Command, names: Sequence[str]) -> Iterator[str]:
    """The page of one command, as pieces of roff."""
    with click.Context(command, info_name=name, help_option_names=["-h", "--help"]) as ctx:
        yield _head(name.replace(" ", "-"), command.get_short_help_str(200))
        usage = " ".join(command.collect_usage_pieces(ctx))
        yield _section("SYNOPSIS") + f".B {_escaped(name)}\n{_escaped(usage)}\n"
        yield _section("DESCRIPTION") + _prose(command.help or "")
        yield from _options(command, ctx)
    if isinstance(command, click.Group):
        yield _section("COMMANDS")
        for each, child in _children(command):
            yield _term(f"{name} {each}", child.get_short_help_str(200))
    if command.epilog:
        yield _section("MORE") + _prose(command.epilog)
    yield _table("EXIT STATUS", EXIT_CODES)
    if name == "cosy":
        yield _table("ENVIRONMENT", ENVIRONMENT)
        yield _table("FILES", FILES)
    yield _see_also(name, names)


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    records = [each.get_help_record(ctx) for each in command.get_params(ctx)]
    told = [record for record in records if record is not None and record[1]]
    if told:
        yield _section("OPTIONS")
        yield from (_term(left, right) for left, right in told)


def _daemon_page() -> Iterator[str]:
    yield _head("cosyd", "the speech daemon")
    yield _section("SYNOPSIS") + ".B cosyd\n[OPTIONS]\n"
    yield _section("DESCRIPTION") + _prose(
        "Keeps voices ready and speaks for all programs of one user. Nobody needs to start it: "
        "`cosy say` and every client of the library do so, or systemd or launchd after "
        "`cosy install`. It ends by itself when it was not needed for a while.\n\n"
        "Each setting is an option, an environment variable and a line of the settings file; "
        "the first of these wins. A duration is a number of seconds or such as 90s, 5m or 2h; "
        "a size is such as 800MB or 8GB."
    )
    yield _section("SETTINGS")
    for setting in SETTINGS:
        names = f"{setting.flag} {setting.kind.short.upper()}"
        text = f"{setting.help} In the file `{setting.key}`, as a variable "
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        yield _term(names, f"{text}`{setting.variables[-1]}`.{choices}")
    yield _section("SIGNALS")
    yield _term("SIGTERM, SIGINT", "Finish what is being said, then end; a second one: end now.")
    yield _term("SIGHUP", "Read the settings again; nothing is dropped.")
    yield _table("FILES", FILES)
    yield _see_also("cosyd", ["cosy"])


def _head(name: str, summary: str) -> str:
    title = f'.TH {name.upper()} 1 "" "cosyd {VERSION}" "User Commands"\n'
    return title + _section("NAME") + f"{_escaped(name)} \\- {_escaped(summary.rstrip('.'))}\n"


def _section(title: str) -> str:
    return f".SH {title}\n"


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    return _section(title) + "".join(_term(left, right) for left, right in rows)


def _term(left: str, right: str) -> str:
    return f".TP\n.B {_escaped(left)}\n{_escaped(' '.join(right.split()))}\n"


def _see_also(name: str, names: Sequence[str]) -> str:
    own = name.replace(" ", "-")
    near = [each for each in names if each.rpartition("-")[0] == own]
    parent = [own.rpartition("-")[0]] if "-" in own else []
    every = [*parent, *near, *(["cosyd"] if own != "cosyd" else [])]
    links = ",\n".join(f".BR {_escaped(each)} (1)" for each in every)
    return _section("SEE ALSO") + links.replace("(1),", "(1) ,") + "\n"


def _prose(text: str) -> str:
    """The text of click's help: paragraphs, and after a line \\b lines that stay as they are."""
    made = []
    for paragraph in re.split(r"\n[ \t]*\n", inspect.cleandoc(text)):
        lines = paragraph.strip("\n").split("\n")
        if lines[0].strip() == "\b":
            kept = "\n".join(_escaped(line) for line in lines[1:])
            made.append(f".nf\n{kept}\n.fi\n")
        else:
            made.append(_escaped(" ".join(line.strip() for line in lines)) + "\n")
    return ".PP\n".join(made)


def _escaped(text: str) -> str:
    """Text for roff: nothing in it is a request or an escape; `code` becomes bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "\\&...")
    text = _CODE.sub(lambda found: f"\\fB{found[1]}\\fP{found[2] or ''}", text)
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))
