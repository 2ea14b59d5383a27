"""The report's HTML: cells, tables that fold, and provenance as marks."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

__all__ = [
    "MARKS",
    "Html",
    "answered",
    "cell",
    "fold",
    "labelled",
    "legend",
    "marked",
    "note",
    "page",
    "table",
]

_PAGE = Path(__file__).with_name("page.html")
MARKS = {
    "paper": ("p", "read in the paper's abstract and captions"),
    "digest": ("d", "a third party's notes on the paper's full text"),
    "derived": ("e", "follows from other constants"),
    "stpn": ("s", "read in the STPN code"),
    "follow-up": ("f", "the group's later paper on the device family"),
    "assumed": ("a", "assumed: plausible, not measured"),
    "measured": ("m", "measured"),
    "cited": ("c", "published elsewhere"),
    "counted": ("n", "counted in simulated games or solved for this array"),
    "given": ("g", "given on the command line"),
    "unstated": ("?", "the device file does not say"),
}
"""Sign and meaning of every provenance."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def cell(text: str) -> Html:
    """Text as HTML."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def marked(text: str, provenances: Iterable[str]) -> Html:
    """Text with its marks."""
    signs = "".join(
        f'<abbr class="{p}" title="{html.escape(MARKS[p][1])}">{MARKS[p][0]}</abbr>'
        for p in dict.fromkeys(provenances)
    )
    return Html(f"{cell(text)}<sup>{signs}</sup>")


def labelled(text: str, below: str) -> Html:
    """Text with a smaller line below."""
    return Html(f"{cell(text)}<small>{cell(below)}</small>")


_SIGNS = {"yes": "\N{CHECK MARK}", "no": "\N{MULTIPLICATION X}", "unknown": "?"}


def answered(answer: str) -> Html:
    """Yes, no or unknown, by word, sign and colour."""
    return Html(f'<b class="answer {answer}">{_SIGNS[answer]}\N{NO-BREAK SPACE}{answer}</b>')


def legend() -> Html:
    """What the marks mean."""
    meanings = ", ".join(
        f'<abbr class="{name}">{sign}</abbr>\N{NO-BREAK SPACE}{html.escape(meaning)}'
        for name, (sign, meaning) in MARKS.items()
    )
    return Html(f'<p class="legend">Where a number comes from: {meanings}.</p>')


def note(text: str) -> Html:
    """A paragraph."""
    return Html(f"<p>{cell(text)}</p>")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table whose first column names the rows."""
    head = "".join(f"<th>{cell(text)}</th>" for text in header)
    body = "".join(
        f"<tr><th>{cell(first)}</th>{''.join(f'<td>{cell(text)}</td>' for text in rest)}</tr>\n"
        for first, *rest in rows
    )
    return Html(
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def fold(title: str, *parts: str) -> Html:
    """A part of the page that opens on demand."""
    content = "\n".join(cell(part) for part in parts)
    return Html(f"<details><summary>{cell(title)}</summary>\n{content}\n</details>\n")


def page(title: str, *parts: str) -> str:
    """A whole page, which needs nothing beside it."""
    body = "\n".join(cell(part) for part in parts)
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(title=cell(title), body=body)
