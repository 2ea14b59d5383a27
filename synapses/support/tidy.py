"""Tidy tables: dataclasses as rows of a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from mstpn.synapses.support.numerals import number

__all__ = ["csv_text", "read_rows"]

Row = TypeVar("Row")


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_rows(path: Path, row_type: type[Row]) -> list[Row]:
    """Read a table whose columns are the fields of a dataclass, of type int, float or str.

    A column of a field with a default may be missing, as in a table that an earlier version wrote.

    What a spreadsheet makes of it is read too: a byte order mark, semicolons with decimal commas,
    tabs, columns in another order, empty rows at the end.

    Raises
    ------
    ValueError
        If a column is missing or a value of the wrong kind; the message names file and line.
    """
    of_row = fields(row_type)  # type: ignore[arg-type]
    kinds: dict[str, Any] = {f.name: f.type for f in of_row}
    optional = {f.name for f in of_row if f.default is not MISSING}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = []
    for row in (reader := csv.DictReader(io.StringIO(text), delimiter=delimiter)):
        if not any(row.values()):
            continue
        try:
            values = {
                name: _value(kind, row[name], delimiter)
                for name, kind in kinds.items()
                if name in row or name not in optional
            }
        except KeyError as error:
            raise ValueError(f"{path}, line {reader.line_num}: no column {error}") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
        rows.append(row_type(**values))
    return rows


def _value(kind: Any, text: str, delimiter: str) -> Any:
    if kind is float and delimiter != "," and "," in text:
        return number(text, ",")
    return kind(text)
