"""Tidy tables: dataclasses as rows of a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

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

    Raises
    ------
    ValueError
        If a column is missing or a value of the wrong kind; the message names file and line.
    """
    kinds: dict[str, Any] = {f.name: f.type for f in fields(row_type)}  # type: ignore[arg-type]
    rows = []
    with path.open(newline="") as file:
        for row in (reader := csv.DictReader(file)):
            try:
                rows.append(row_type(**{name: kind(row[name]) for name, kind in kinds.items()}))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    return rows
