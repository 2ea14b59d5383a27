"""The answers about an array, for a terminal and as a page."""

from collections.abc import Iterable, Mapping, Sequence

from mstpn.analysis.array.rows import Number, Row, verdict
from mstpn.analysis.report.markup import (
    Html,
    answered,
    cell,
    fold,
    labelled,
    legend,
    marked,
    note,
    page,
    table,
)
from mstpn.analysis.report.tables import columns
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Sourced

__all__ = ["html", "text"]


def text(found: Sequence[Row]) -> str:
    """The table for a terminal: what is beside a number stands below it."""
    lines = [("", "", "found", "limit", "from")]
    for row in found:
        value, limit = (n.text if n else "-" for n in (row.number, row.limit))
        marks = dict.fromkeys(m for n in (row.number, row.limit) if n for m in n.marks)
        lines.append((row.answer.upper(), row.title, value, limit, ", ".join(marks)))
    head, *rest = columns(lines).splitlines()
    said = [head]
    for line, row in zip(rest, found, strict=True):
        said.append(line)
        said += _wrapped([f"{n.name} {n.text}" for n in row.beside], " " * 9)
    return "\n".join(said)


def _wrapped(parts: Sequence[str], indent: str, width: int = 100) -> list[str]:
    """Parts in lines, none broken."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"; {part}"
        else:
            lines.append(f"{indent}{part}")
    return lines


def html(found: Sequence[Row], title: str, limits: Mapping[str, Sourced], device: Memristor) -> str:
    """The page.

    Parameters
    ----------
    found : sequence of Row
    title : str
        Which network on which device, from which games.
    limits : mapping of str to Sourced
    device : Memristor
    """
    header = Html(f"<header><p>{cell(title)}</p>\n<h1>{cell(verdict(found))}</h1></header>")
    rows = [[_question(row), _shown(row.number), _shown(row.limit)] for row in found]
    first = table(("", "found", "limit"), rows)
    details = [fold(row.title, _details(row)) for row in found]
    return page(
        "Could it be built?",
        *(header, first, legend(), Html("<h3>What stands behind each answer</h3>"), *details),
        fold("Every limit and its source", _sources(limits.items())),
        fold("Every constant of the device and its source", _constants(device)),
    )


def _question(row: Row) -> Html:
    asked = Html(f"{answered(row.answer)} {cell(row.title)}")
    return labelled(asked, row.note) if row.answer == "unknown" else asked


def _shown(n: Number | None) -> Html:
    return Html("\N{EN DASH}") if n is None else labelled(_value(n), n.name)


def _details(row: Row) -> Html:
    numbers = [n for n in (row.number, row.limit, *row.beside) if n is not None]
    rows = [[labelled(n.name, n.source) if n.source else n.name, _value(n)] for n in numbers]
    return Html(table(("", "value"), rows) + (note(row.note) if row.note else ""))


def _value(n: Number) -> Html:
    return marked(n.text, n.marks)


def _sources(entries: Iterable[tuple[str, Sourced]]) -> Html:
    rows = [
        [labelled(Html(f"<code>{name}</code>"), e.source), marked(f"{e.value}", [e.provenance])]
        for name, e in entries
    ]
    return table(("limit", "value"), rows)


def _constants(device: Memristor) -> Html:
    rows = [
        [
            labelled(Html(f"<code>{name}</code>"), c.source),
            marked(f"{getattr(device, name)}", [c.provenance]),
        ]
        for name, c in device.constants.items()
    ]
    return table(("device constant", "value"), rows)
