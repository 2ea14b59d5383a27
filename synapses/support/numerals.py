"""Numbers from text: what people mean, and nothing else.

`float` also takes underscores, the digits of every script, "nan" and "infinity"; it takes neither
a decimal comma nor the minus sign that typesetters use.
"""

import re
from collections.abc import Iterable

__all__ = ["decimal_mark", "number"]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,' \u00a0\u202f])\d{3})(?:\1\d{3})*(?![\d])", re.ASCII)
_SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-"})


def number(text: str, decimal: str = ".", *, grouped: bool = False) -> float:
    """A number in decimal digits, such as "-1.5e-9".

    Parameters
    ----------
    text : str
    decimal : str
        The decimal mark, "." or ",".
    grouped : bool
        Whether digits may stand in groups of three, apart by a blank, an apostrophe or the mark
        that is not the decimal one.

    Raises
    ------
    ValueError
        If it is something else, or too large for a float.
    """
    plain = text.strip().translate(_SIGNS)
    if grouped and (match := _GROUPED.match(plain)) and match[1] != decimal:
        plain = match[0].replace(match[1], "") + plain[match.end() :]
    if decimal == ",":
        plain = plain.replace(".", "?").replace(",", ".")
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"must be a number, got {text!r}")
    value = float(plain.replace("d", "e").replace("D", "e"))
    if abs(value) == float("inf"):
        raise ValueError(f"must be a finite number, got {text!r}")
    return value


def decimal_mark(cells: Iterable[str]) -> str | None:
    """The decimal mark that cells of one file were written with; None if they leave it open.

    Parameters
    ----------
    cells : iterable of str
        Numbers among them; other text is passed over.
    """
    commas = points = undecided = False
    for cell in map(str.strip, cells):
        if not any(mark in cell for mark in ",."):
            continue
        as_comma, as_point = (_reads(cell, mark) for mark in ",.")
        if as_comma != as_point:
            commas, points = commas or as_comma, points or as_point
        elif as_comma:
            undecided = True
    if commas != points:
        return "," if commas else "."
    return None if undecided or commas else "."


def _reads(text: str, decimal: str) -> bool:
    """Whether it is a number with this mark; "1.234" is no grouped integer unless others are."""
    if decimal == "," and re.fullmatch(r"[+-]?\d+\.\d+", text, re.ASCII):
        return False
    try:
        number(text, decimal, grouped=True)
    except ValueError:
        return False
    return decimal != "." or not text.lstrip("+-").startswith("0,")
