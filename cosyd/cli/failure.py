"""How `cosy` ends: one line on stderr, and an exit code.

0 done (also when the reader of a pipe has closed it: it had enough); 1 failed; 2 wrong usage;
3 `cosy daemon status` with no daemon; 128 + n ended by signal n (130: Ctrl-C, 143: SIGTERM).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cosyd.config import ConfigError
from cosyd.errors import CosydError

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_RUNNING: Final = 3

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failure(Exception):
    """Ends the command with exit code 1. Its text: what is wrong, and what to type."""

    code = FAILED


class Usage(Failure):
    """Ends the command with exit code 2: it was typed wrong."""

    code = USAGE


class Signalled(BaseException):
    """A signal asks the command to end. Not an `Exception`, so that nobody swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def note(text: str) -> None:
    """One line on stderr."""
    line = " ".join(text.split("\n"))
    if sys.stderr is not None:  # `2>&-`
        with suppress(OSError):  # a full disk, a closed pipe: nobody to tell
            print(f"cosy: {line}", file=sys.stderr, flush=True)


def _raise_signalled(number: int, frame: object) -> None:
    del frame
    for each in _ENDING:
        if signal.getsignal(each) is _raise_signalled:
            signal.signal(each, signal.SIG_DFL)  # the second one ends us the hard way
    raise Signalled(number)


def guard(command: Callable[[], int]) -> int:
    """Run `command`; whatever a person can cause becomes a line and an exit code."""
    _fill_standard_fds()
    for each in _ENDING:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup and `&` set it
            signal.signal(each, _raise_signalled)
    try:
        return _guarded(command)
    except Signalled as signalled:
        return signalled.code
    finally:
        for each in _ENDING:
            if signal.getsignal(each) is _raise_signalled:
                signal.signal(each, signal.SIG_DFL)  # nothing is left to clean up


def _fill_standard_fds() -> None:
    """Keep 0, 1 and 2 from becoming our socket where the shell has closed one of them."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)


def _guarded(command: Callable[[], int]) -> int:
    try:
        code = command()
        if sys.stdout is not None:  # `>&-`
            sys.stdout.flush()
        return code
    except Failure as failure:
        note(str(failure))
        return failure.code
    except (CosydError, ConfigError) as error:
        note(str(error))
        return FAILED
    except BrokenPipeError:
        _abandon_stdout()
        return DONE
    except OSError as error:
        note(os_error(error))
        return FAILED


def os_error(error: OSError) -> str:
    """What the system refused, in one line: file, then reason."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _abandon_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of failing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
