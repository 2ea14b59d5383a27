"""Which columns a file of measurements may have, and how they follow from one another."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mstpn.analysis.device.headings import ALIASES, plain_name

__all__ = [
    "BIAS_POWER",
    "CHECKS",
    "DECAY",
    "LABELS",
    "LONG_TERM",
    "PULSES",
    "READ",
    "Column",
    "Rule",
    "Table",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column that a table may have.

    Parameters
    ----------
    name : str
        In the header, before the unit.
    unit : str
        Brian2's name of its unit, "1", or "label" of a text that tells things apart.
    measured : bool
        Whether its standard error may stand beside it.
    allowed : str
        What a value must be besides finite: a key of `CHECKS`.
    is_set : bool
        Whether the experimenter set it, so that a value read back is a nominal one.
    """

    name: str
    unit: str
    measured: bool = False
    allowed: str = "a finite number"
    is_set: bool = False


@dataclass(frozen=True)
class Rule:
    """How a column follows from others.

    Parameters
    ----------
    name : str
    of : tuple of str
    compute : callable
        Of those columns, in SI units.
    """

    name: str
    of: tuple[str, ...]
    compute: Callable[..., Array]


@dataclass(frozen=True)
class Table:
    """The columns of one kind of file.

    Parameters
    ----------
    columns : tuple of Column
    needed : tuple of tuple of str
        Of each group at least one column.
    either : tuple of str
        Columns that say the same, so at most one of them.
    rules : tuple of Rule
        In order of preference, for columns that are not there.
    along : str
        Column along which rows are traces, "" if they are not.
    """

    columns: tuple[Column, ...]
    needed: tuple[tuple[str, ...], ...]
    either: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    along: str = ""

    @property
    def known(self) -> dict[str, Column]:
        """All columns by name, standard errors among them."""
        errors = [
            Column(f"{c.name} error", c.unit, allowed="positive")
            for c in self.columns
            if c.measured
        ]
        return {column.name: column for column in (*self.columns, *errors)}

    def applied(self, there: Collection[str]) -> list[Rule]:
        """The rules that give what is needed and not there."""
        having, applied = set(there), []
        for rule in self.rules:
            equivalents = {rule.name, *(self.either if rule.name in self.either else ())}
            if not having & equivalents and having >= set(rule.of):
                having.add(rule.name)
                applied.append(rule)
        return applied

    def of_one(self, name: str) -> "Table":
        """The same with one of the measured quantities, which then is needed."""
        measured = {c.name for c in self.columns if c.measured}
        needed = tuple((name,) if set(group) & measured else group for group in self.needed)
        return replace(self, needed=needed)

    @property
    def names(self) -> dict[str, str]:
        """Column by its name and its aliases; where two share an alias, the first."""
        column_of = {plain_name(name): name for name in self.known}
        for column in self.columns:
            for alias in filter(None, map(plain_name, ALIASES.get(column.name, "").split("|"))):
                column_of.setdefault(alias, column.name)
                if column.measured:
                    column_of.setdefault(f"{alias} error", f"{column.name} error")
        return column_of


CHECKS: dict[str, Callable[[float], bool]] = {
    "a finite number": lambda _value: True,
    "positive": lambda value: value > 0,
    "0 or more": lambda value: value >= 0,
    "other than 0": lambda value: value != 0,
}
LABELS: tuple[Column, ...] = (
    Column("repeat", "label"),
    Column("device", "label"),
    Column("compliance", "label"),
)
"""Texts that tell rows apart."""
READ = Column("read voltage", "volt", allowed="other than 0", is_set=True)
"""What turns a current into a conductance."""


def _before_and_after(name: str, unit: str, allowed: str = "a finite number") -> tuple[Column, ...]:
    return tuple(Column(f"{name} {when}", unit, allowed=allowed) for when in ("before", "after"))


PULSES = Table(
    (
        Column("voltage", "volt", allowed="other than 0", is_set=True),
        Column("width", "second", allowed="positive", is_set=True),
        Column("dG", "siemens", measured=True),
        Column("dF", "1", measured=True),
        Column("energy", "joule", measured=True),
        *_before_and_after("conductance", "siemens"),
        *_before_and_after("resistance", "ohm", "other than 0"),
        *_before_and_after("current", "amp"),
        Column("current change", "amp"),
        READ,
        Column("polarity", "label"),
        *LABELS,
    ),
    needed=(("voltage",), ("width",), ("dG", "dF", "energy")),
    either=("dG", "dF"),
    rules=(
        Rule("dG", ("conductance before", "conductance after"), lambda a, b: b - a),
        Rule("dG", ("resistance before", "resistance after"), lambda a, b: 1 / b - 1 / a),
        Rule(
            "dG", ("current before", "current after", "read voltage"), lambda a, b, v: (b - a) / v
        ),
        Rule("dG", ("current change", "read voltage"), lambda i, v: i / v),
    ),
)
"""Short-term pulses, one a row (Fig. 3a-3c)."""

DECAY = Table(
    (
        Column("bias voltage", "volt", is_set=True),
        Column("time", "second"),
        Column("conductance", "siemens", measured=True),
        Column("resistance", "ohm", allowed="other than 0"),
        Column("current", "amp"),
        READ,
        *LABELS,
    ),
    needed=(("bias voltage",), ("time",), ("conductance",)),
    rules=(
        Rule("conductance", ("resistance",), lambda r: 1 / r),
        Rule("conductance", ("current", "read voltage"), lambda i, v: i / v),
        Rule("conductance", ("current", "bias voltage"), lambda i, v: i / v),
    ),
    along="time",
)
"""Conductance at times after a pulse under a constant bias (Fig. 3d)."""

LONG_TERM = Table(
    (
        Column("voltage", "volt", allowed="other than 0", is_set=True),
        Column("width", "second", allowed="positive", is_set=True),
        Column("pulses", "1", allowed="0 or more"),
        Column("conductance", "siemens", measured=True),
        Column("resistance", "ohm", allowed="other than 0"),
        Column("current", "amp"),
        READ,
        Column("polarity", "label"),
        *LABELS,
    ),
    needed=(("voltage",), ("width",), ("pulses",), ("conductance",)),
    rules=(
        Rule("conductance", ("resistance",), lambda r: 1 / r),
        Rule("conductance", ("current", "read voltage"), lambda i, v: i / v),
    ),
    along="pulses",
)
"""Conductance at rest after numbers of alike SET or RESET pulses (Fig. 2c)."""

BIAS_POWER = Table(
    (
        Column("bias voltage", "volt", is_set=True),
        Column("weight S", "1"),
        Column("conductance", "siemens"),
        Column("power", "watt", measured=True),
        Column("resistance", "ohm", allowed="other than 0"),
        Column("current", "amp"),
        *LABELS,
    ),
    needed=(("bias voltage",), ("weight S", "conductance"), ("power",)),
    either=("weight S", "conductance"),
    rules=(
        Rule("power", ("bias voltage", "current"), lambda v, i: v * i),
        Rule("conductance", ("resistance",), lambda r: 1 / r),
    ),
)
"""Power under a bias at total weights S = W + F, or at conductances (Fig. 4f)."""
