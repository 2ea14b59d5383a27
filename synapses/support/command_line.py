"""What the package's programs have in common: argument types, and errors that are one line."""

import argparse
import errno
import importlib.util
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mstpn.synapses.support.numerals import number

__all__ = ["Parser", "exit_status", "integer", "need_extra", "positive", "probability", "writable"]


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def exit_status(program: str, work: Callable[[], object], stopped: str = "stopped") -> int:
    """Do the work of a program; what was wrong with its input is one line on stderr.

    Parameters
    ----------
    program : str
        Its name, which the line begins with.
    work : callable
        A ValueError or OSError that it raises is the user's to mend.
    stopped : str
        What is said after Ctrl-C.

    Returns
    -------
    int
        0, 2 after such an error, 130 after Ctrl-C, 141 if nobody reads the output.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # of a terminal that lacks a letter
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head`: nobody reads on; what Python still holds goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: {stopped}", file=sys.stderr)
        return 130
    return 0


def need_extra(extra: str, *modules: str) -> None:
    """Raise ValueError, which names the extra, if one of the modules is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"needs pip install 'mstpn[{extra}]': no module named {module!r}")


def integer(lowest: int) -> Any:
    """Argument type: an integer of at least `lowest`."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()) or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"must be an integer >= {lowest}, got {text!r}")
        return int(text)

    return parse


def positive(text: str) -> float:
    """Argument type: a positive number."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def probability(text: str) -> float:
    """Argument type: a number in [0, 1]."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1], got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return number(text)
    except ValueError:
        return float("nan")


def writable(text: str) -> Path:
    """Argument type: a path whose folder takes new files, or a pipe or device that takes bytes."""
    path = Path(text)
    if path.exists() and not path.is_file() and not path.is_dir():
        if not os.access(path, os.W_OK):
            raise argparse.ArgumentTypeError(f"cannot write {path}: {os.strerror(errno.EACCES)}")
        return path
    probe = path.with_name(f".{path.name}.partial")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path}: {error.strerror}") from error
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {path}: it is a folder")
    return path
