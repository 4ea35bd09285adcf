"""The options of `cosy say` as one table; click's options and the fast parser are made from it.

Importing click costs 30 ms, half of what a warm `cosy say` may take, and a plain command line
needs none of it. `parse_plain` takes what it is sure of; everything else (help, mistakes,
clusters of short flags) is left to click, which reads the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from cosyd.wire.fields import Field, FieldError, check
from cosyd.wire.messages import SAY

Values = dict[str, Any]
"""Option name → value (None: not given; a flag: True or False), and "words": list of str."""

_SAY_FIELDS: Final = {field.name: field for field in SAY}


class BadOption(ValueError):
    """An option's value is of no use; the message names the option."""


class Option(NamedTuple):
    """One option of a command line."""

    name: str
    """Key in `Values`; for an option that goes to the daemon the name of the `say` field."""
    flags: tuple[str, ...]
    """The spellings, the long one last."""
    metavar: str
    """What the value is called in the help; "": a flag, without a value."""
    help: str
    wire: bool = False
    """Whether this is a field of the `say` message, whose type and range it then has."""

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.metavar

    def convert(self, text: str) -> Any:
        """The value for `text`. Raises `BadOption`."""
        return _wire_value(self.flags[-1], _SAY_FIELDS[self.name], text) if self.wire else text


def _wire_value(flag: str, field: Field, text: str) -> Any:
    readers: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": printable}
    try:
        value = readers[field.kind](text)
    except ValueError:
        raise BadOption(f"{flag} must be a number, not {text!r}") from None
    try:
        check({field.name: value}, (field,))
    except FieldError as error:
        why = str(error).removeprefix(field.name)
        raise BadOption(f"{flag}{why}, not {text}") from None
    return value


def printable(text: str) -> str:
    """`text` from the command line with bytes that were not UTF-8 replaced by U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


SAY_OPTIONS: Final = (
    Option("voice", ("-v", "--voice"), "VOICE", "Who speaks; -v '?' lists the voices.", True),
    Option("file", ("-f", "--file"), "FILE", "Speak a text file; - is standard input."),
    Option("output", ("-o", "--output"), "FILE", "Write a WAV file instead of playing; - pipes."),
    Option("raw", ("--raw",), "", "With -o: bare samples (s16le, mono), no WAV header."),
    Option("speed", ("-r", "--rate"), "FACTOR", "How fast, 0.5 to 2; 1 is normal.", True),
    Option("volume", ("--volume",), "FACTOR", "How loud, 0 to 2; 1 is normal.", True),
    Option("device", ("-a", "--device"), "DEVICE", "Where to play; -a '?' lists the devices."),
    Option("language", ("-l", "--language"), "TAG", "Language, such as en or zh.", True),
    Option("instruct", ("--instruct",), "TEXT", "How to speak, for voices that can.", True),
    Option("interactive", ("-i", "--interactive"), "", "Show the text, what is spoken marked."),
    Option("progress", ("--progress",), "", "Show how far it is."),
    Option("channel", ("--channel",), "NAME", "Utterances of one channel take turns.", True),
    Option("priority", ("--priority",), "N", "-10 to 10: turn within the channel.", True),
    Option("interrupt", ("--interrupt",), "", "Stop the channel's other utterances first.", True),
    Option("sample_rate", ("--sample-rate",), "HZ", "8000 to 48000; 48000 if not given.", True),
    Option("seed", ("--seed",), "N", "The same seed speaks the same way.", True),
    Option("keep_alive", ("--keep-alive",), "SECONDS", "Then unload the model; -1 never.", True),
    Option("or_output", ("--or-output",), "FILE", "Where nothing can play: write this WAV file."),
    Option("no_daemon", ("--no-daemon",), "", "Speak without the daemon (loads the model anew)."),
)


def parse_plain(arguments: Sequence[str], options: Sequence[Option]) -> Values | None:
    """Values of a command line with nothing unusual in it; None: let click have a look.

    Understands `-x value`, `--long value`, `--long=value`, flags, words anywhere and `--`.
    """
    by_flag = {flag: option for option in options for flag in option.flags}
    values: Values = {option.name: False if option.is_flag else None for option in options}
    words: list[str] = []
    values["words"] = words
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            words.extend(rest)
        elif argument == "-" or not argument.startswith("-"):
            words.append(argument)
        elif not _take_option(argument, rest, by_flag, values):
            return None
    return values


def _take_option(
    argument: str, rest: Iterator[str], by_flag: dict[str, Option], values: Values
) -> bool:
    """Read one option into `values`; whether that was plain."""
    flag, equals, text = argument.partition("=")
    option = by_flag.get(flag)
    if option is None or (equals and (option.is_flag or not flag.startswith("--"))):
        return False
    if option.is_flag:
        values[option.name] = True
        return True
    given = text if equals else next(rest, None)
    if given is None:
        return False
    try:
        values[option.name] = option.convert(given)
    except BadOption:
        return False
    return True


def wire_fields(values: Values, options: Sequence[Option] = SAY_OPTIONS) -> Values:
    """The fields of `say` that were given."""
    given = {option.name: values[option.name] for option in options if option.wire}
    return {
        name: value for name, value in given.items() if value is not None and value is not False
    }
