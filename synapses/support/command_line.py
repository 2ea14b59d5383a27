"""What the package's programs have in common: argument types, and errors that are one line."""

import argparse
import errno
import importlib.util
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from mstpn.synapses.support.files import one_line
from mstpn.synapses.support.numerals import number

__all__ = [
    "Parser",
    "exit_status",
    "finite",
    "integer",
    "kind",
    "need_extra",
    "positive",
    "probability",
    "writable",
]


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}\n")


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
        0, 2 after such an error or where memory ends, 130 after Ctrl-C, 141 if nobody reads the
        output.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # of a terminal that lacks a letter
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script's job; Brian2 would call it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    sys.unraisablehook = partial(_interrupt_again, hook)
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head`: nobody reads on; what Python still holds goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ValueError, OSError) as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 2
    except MemoryError:
        print(f"{program}: not enough memory for what was asked", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemError) as error:
        if not _is_interrupt(error):
            raise
        print(f"{program}: {stopped}", file=sys.stderr)
        return 130
    finally:
        sys.unraisablehook = hook
    return 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Whether it is one, or what compiled code made of one that came while it returned."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _interrupt_again(
    otherwise: Callable[["sys.UnraisableHookArgs"], object], dropped: "sys.UnraisableHookArgs"
) -> None:
    """Send an interrupt anew that came within a destructor or a callback, where Python drops it."""
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        otherwise(dropped)
        return
    again = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    again.start()


def need_extra(extra: str, *modules: str) -> None:
    """Raise ValueError, which names the extra, if one of the modules is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"needs pip install 'mstpn[{extra}]': no module named {module!r}")


def integer(lowest: int) -> Any:
    """Argument type: an integer of at least `lowest`, which native code can hold."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()) or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"must be an integer >= {lowest}, got {text!r}")
        if int(text) > _HIGHEST:
            raise argparse.ArgumentTypeError(f"must be an integer <= {_HIGHEST}, got {text!r}")
        return int(text)

    return parse


_HIGHEST = 2**31 - 1


def finite(text: str) -> float:
    """Argument type: a number."""
    try:
        return number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def kind(default: object) -> Any:
    """Argument type of an option with this default."""
    kinds: dict[type, Any] = {int: integer(0), float: finite}
    return kinds.get(type(default), type(default))


def positive(text: str) -> float:
    """Argument type: a positive number."""
    value = finite(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value


def probability(text: str) -> float:
    """Argument type: a number in [0, 1]."""
    value = finite(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1], got {text!r}")
    return value


def writable(text: str) -> Path:
    """Argument type: a path whose folder takes new files, or a pipe or device that takes bytes."""
    path = Path(text)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return path
        if not path.name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        probe = path.with_name(f".{path.name}.partial")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path}: {error.strerror}") from error
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {path}: it is a folder")
    return path
