"""The table in a text file, whoever wrote it: encoding, preamble, header, separator, cells."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstpn.synapses.support.numerals import number
from mstpn.synapses.support.sourced import DataError

__all__ = ["TextTable", "read_text_table"]

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "": "blanks"}
_COMMENT = re.compile(r"\s*(?:#|%|//|!)+\s*")
_SEARCHED_LINES = 1000
_BINARY = {b"PK\x03\x04": "a spreadsheet (xlsx)", b"\xd0\xcf\x11\xe0": "a spreadsheet (xls)"}

Recognise = Callable[[str], str | None]


@dataclass(frozen=True)
class TextTable:
    """Cells below a line that names the columns.

    Parameters
    ----------
    header : tuple of str
    header_line : int
        Its number in the file.
    rows : tuple of (int, int, tuple of str)
        Line, block and cells; a header that is repeated begins a block.
    preamble : tuple of str
        Lines above the header that say something.
    separator : str
        A value of `SEPARATORS`.
    torn : int, optional
        The last line, if it ends before its last cell.
    """

    header: tuple[str, ...]
    header_line: int
    rows: tuple[tuple[int, int, tuple[str, ...]], ...]
    preamble: tuple[str, ...]
    separator: str
    torn: int | None = None


def read_text_table(path: Path, recognise: Recognise) -> TextTable:
    """Read the table whose header names the most columns that are known.

    Parameters
    ----------
    path : Path
    recognise : callable
        What a cell of a header names, or None.

    Raises
    ------
    DataError
        If the file cannot be read, is no text or empty, or a row does not fit the header.
    """
    try:
        text = _decoded(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip("\t ,;")]
    if all(_COMMENT.match(line) for _, line in lines) and not _named(lines, recognise):
        raise DataError(f"{path}: empty, the first line must name the columns")
    at, separator, header = _find_header(lines, recognise)
    while len(header) > 1 and not header[-1]:
        header = header[:-1]
    below = lines[at + 1 :]
    separator = _row_separator(separator, len(header), below)
    rows: list[tuple[int, int, tuple[str, ...]]] = []
    block, torn = 0, None
    for k, line in below:
        if rows and k == lines[-1][0] and len(_cells(line, separator)) < len(header):
            torn = k
        elif _plain(line) == _plain(lines[at][1]):
            block += 1
        elif not _COMMENT.match(line):
            rows.append((k, block, _row(line, separator, len(header), f"{path}, line {k}")))
    preamble = tuple(line.strip() for _, line in lines[:at])
    separator_name = SEPARATORS[separator]
    return TextTable(tuple(header), lines[at][0], tuple(rows), preamble, separator_name, torn)


def _row(line: str, separator: str, n: int, at: str) -> tuple[str, ...]:
    cells = _cells(line, separator)
    while len(cells) > n and not cells[-1]:
        cells = cells[:-1]
    if len(cells) == n:
        return tuple(cells)
    refusal = f"{at}: {len(cells)} values for {n} columns"
    if separator == "," and len(cells) == 2 * n:
        refusal += "; if the comma is the decimal mark too, save with semicolons or tabs between"
    raise DataError(refusal)


def _plain(line: str) -> str:
    """Without the mark of a comment."""
    return _COMMENT.sub("", line, count=1) if _COMMENT.match(line) else line


def _decoded(content: bytes, path: Path) -> str:
    for start, what in _BINARY.items():
        if content.startswith(start):
            raise DataError(f"{path}: {what}, not text: save the sheet as CSV")
    encoding = "utf-8-sig"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in content[:200]:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise DataError(f"{path}: {error}") from error
        text = content.decode("latin-1")  # as older instruments write the micro sign
    if odd := re.search(r"[\0-\x08\x0e-\x1a\x7f-\x9f]", text):
        raise DataError(f"{path}: not text, it holds the character {odd[0]!r}")
    return text


def _cells(line: str, separator: str) -> list[str]:
    if not separator:
        return line.split()
    read = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    return [cell.strip() for cell in read]


def _find_header(
    lines: Sequence[tuple[int, str]], recognise: Recognise
) -> tuple[int, str, list[str]]:
    """Place, separator and cells of the line that names the most columns, the first of equals."""
    named = _named(lines, recognise)
    if named:
        _, k, separator, cells = max(named, key=lambda candidate: (candidate[0], -candidate[1]))
        return k, separator, cells
    first = next(k for k, (_, line) in enumerate(lines) if not _COMMENT.match(line))
    separator = max(SEPARATORS, key=lambda s: (len(_cells(lines[first][1], s)), s != ""))
    return first, separator, _cells(lines[first][1], separator)


def _named(
    lines: Sequence[tuple[int, str]], recognise: Recognise
) -> list[tuple[int, int, str, list[str]]]:
    """How many columns a line names, its place, separator and cells; none of 0."""
    candidates = []
    for k, (_, line) in enumerate(lines[:_SEARCHED_LINES]):
        plain = _plain(line)
        for separator in SEPARATORS:
            cells = _cells(plain, separator) if separator else _words(plain, recognise)
            if n := len({name for cell in cells if (name := recognise(cell))}):
                candidates.append((n, k, separator, cells))
    return candidates


def _words(line: str, recognise: Recognise) -> list[str]:
    """Cells apart by blanks, of which a name may hold some: the longest that are known."""
    if len(wide := re.split(r"\t|\s{2,}", line.strip())) > 1 and all(map(recognise, wide)):
        return wide
    words, cells = line.split(), []
    while words:
        n = next((n for n in range(min(6, len(words)), 1, -1) if recognise(" ".join(words[:n]))), 1)
        cells.append(" ".join(words[:n]))
        words = words[n:]
    return cells


def _row_separator(separator: str, n: int, lines: Sequence[tuple[int, str]]) -> str:
    """The header's, unless only another one gives a row of numbers as many cells."""
    plain = (line for _, line in lines if not _COMMENT.match(line))
    first = next((line for line in plain if any(map(_is_number, _all_cells(line)))), "")
    if len(_cells(first, separator)) > 1:
        return separator
    return next((s for s in SEPARATORS if len(_cells(first, s)) == n), separator)


def _all_cells(line: str) -> Iterator[str]:
    for separator in SEPARATORS:
        yield from _cells(line, separator)


def _is_number(cell: str) -> bool:
    for decimal in ".,":
        try:
            number(cell, decimal)
        except ValueError:
            continue
        return True
    return False
