"""The command lines of every program, read by its own reader and no further."""

import argparse
import contextlib
import importlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import fuzz
import numpy as np

from mstpn.commands.main import COMMANDS

__all__ = ["Reader", "accepted", "readers", "tried"]

Reader = Callable[[list[str]], object]


def readers() -> dict[str, Reader]:
    """By program, what makes options of words; ends with SystemExit where it refuses them."""
    found: dict[str, Reader] = {}
    for name in COMMANDS:
        module = importlib.import_module(f"mstpn.commands.{name.replace('-', '_')}")
        found[name] = getattr(module, "parse_arguments", None) or module.parse_options
    return found


def parser_of(reader: Reader) -> argparse.ArgumentParser:
    """The parser that a reader makes."""
    seen: list[argparse.ArgumentParser] = []

    class Seen(BaseException):
        pass

    def look(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        seen.append(parser)
        raise Seen

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_known_args", look),
        contextlib.suppress(Seen),
    ):
        reader([])
    return seen[0]


def tried(
    name: str, reader: Reader, n: int, seed: int, folder: Path
) -> Iterator[tuple[list[str], str]]:
    """Words, and what is wrong with how they were read: "" if nothing is.

    Parameters
    ----------
    name : str
    reader : callable
    n, seed : int
        Cases, and of what they are drawn.
    folder : Path
        In which they are read; nothing may appear or change in it.
    """
    parser, before = parser_of(reader), files(folder)
    with contextlib.chdir(folder):
        for case in range(n):
            words = fuzz.hostile_words(parser, random.Random(f"{name} {seed} {case}"))
            yield words, _read(reader, words) or _changed(before, folder)


def accepted(name: str, reader: Reader, n: int, seed: int) -> Iterator[list[str]]:
    """As many command lines that a program accepts, of the strange ones; none that writes to /."""
    parser, case = parser_of(reader), 0
    while n > 0:
        words = fuzz.hostile_words(parser, random.Random(f"{name} {seed} run {case}"))
        case += 1
        if "/" in words:
            continue
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                reader(list(words))
            except SystemExit:
                continue
        n -= 1
        yield words


def _read(reader: Reader, words: list[str]) -> str:
    out, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            options = reader(list(words))
        if not all(map(np.isfinite, _numbers(options))):
            return f"not finite: {options}"
    except SystemExit as stop:
        if stop.code == 0:
            return ""
        text = said.getvalue()
        if stop.code != 2 or text.count("\n") != 1 or len(text) > 2000:
            return f"status {stop.code}, {text.count(chr(10))} lines, {len(text)} characters"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _numbers(options: object) -> list[float]:
    """All that were read."""
    if isinstance(options, float):
        return [options]
    if isinstance(options, tuple | list):
        return [x for part in options for x in _numbers(part)]
    if isinstance(options, argparse.ArgumentParser):
        return []
    return [x for part in getattr(options, "__dict__", {}).values() for x in _numbers(part)]


def files(folder: Path) -> dict[str, int]:
    """What there is, and when it was changed."""
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def _changed(before: dict[str, int], folder: Path) -> str:
    after = files(folder)
    return "" if after == before else f"files: {sorted(after.items() ^ before.items())}"
