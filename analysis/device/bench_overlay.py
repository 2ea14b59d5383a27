"""Measured traces over the panels of a bench session."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import DECAY, LABELS, PULSES, READ, Column, Rule, Table
from mstpn.synapses.support.sourced import DataError

__all__ = ["PANELS", "overlay", "read_measured"]

_CONDUCTANCE = (
    Column("conductance", "siemens", measured=True),
    Column("resistance", "ohm", allowed="other than 0"),
    Column("current", "amp"),
    READ,
)
_RULES = (
    Rule("conductance", ("resistance",), lambda r: 1 / r),
    Rule("conductance", ("current", "read voltage"), lambda i, v: i / v),
)
_TRACE = Table(
    (Column("time", "second"), *_CONDUCTANCE, *LABELS),
    needed=(("time",), ("conductance",)),
    rules=_RULES,
)
PANELS: Mapping[str, Table] = {
    "2a_sweep": Table(
        (Column("voltage", "volt"), *_CONDUCTANCE, *LABELS),
        needed=(("voltage",), ("conductance",)),
        rules=(*_RULES, Rule("conductance", ("current", "voltage"), lambda i, v: i / v)),
    ),
    "2c_set": Table(
        (Column("pulses", "1"), *_CONDUCTANCE, *LABELS),
        needed=(("pulses",), ("conductance",)),
        rules=_RULES,
    ),
    "2d_pulses": _TRACE,
    "2e_zoom": _TRACE,
    "2f_rounds": Table(
        (Column("round", "label"), *_TRACE.columns),
        needed=(("round",), *_TRACE.needed),
        rules=_RULES,
    ),
    "3a_repeats": Table(
        (
            Column("time", "second"),
            Column("voltage", "volt"),
            Column("dG", "siemens", measured=True),
            *LABELS,
        ),
        needed=(("time",), ("voltage",), ("dG",)),
    ),
    "3b_update": PULSES.of_one("dG"),
    "3c_energy": PULSES.of_one("energy"),
    "3d_decay": DECAY,
    "3e_sigmoid": Table(
        (Column("bias voltage", "volt"), Column("decay", "1", measured=True), *LABELS),
        needed=(("bias voltage",), ("decay",)),
    ),
}
"""Which columns a file has for each panel."""
_OF_EACH = "repeat"


def read_measured(paths: Sequence[Path]) -> dict[str, list[Measurements]]:
    """Files of measured traces, by the panel that their names begin with.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders of which all files `*.csv` are taken whose names begin so. The name of a
        panel is enough up to its first underscore: `2a_mine.csv` goes over panel 2a.

    Raises
    ------
    DataError
        If a file cannot be read or its name is of no panel, or a folder holds none that is.
    """
    by_panel: dict[str, list[Measurements]] = {}
    for path in paths:
        if path.is_dir():
            files = [f for f in sorted(path.glob("*.csv")) if _panel(f) is not None]
            if not files:
                raise DataError(
                    f"{path}: the name of no file *.csv in it begins with a panel's, {_NAMES}"
                )
        else:
            files = [path]
        for file in files:
            name = _panel(file)
            if name is None:
                raise DataError(f"{file}: its name must begin with a panel's, {_NAMES}")
            by_panel.setdefault(name, []).append(read_measurements(file, PANELS[name]))
    return by_panel


def _panel(path: Path) -> str | None:
    short = path.stem.partition("_")[0]
    return next((name for name in PANELS if name.partition("_")[0] == short), None)


_SHORT = ", ".join(name.partition("_")[0] for name in PANELS)
_NAMES = f"one of {_SHORT}, as 2a_mine.csv does"


def overlay(figure: Figure, name: str, data: Measurements) -> None:
    """Draw measured rows into the panel of that name, in black.

    Raises
    ------
    DataError
        If there are more rounds than the panel has.
    """
    axes = [one for one in figure.axes if one.get_label() != "<colorbar>"]
    if name == "2f_rounds":
        _over_rounds(axes[::-1], data)
    elif name in ("3b_update", "3c_energy"):
        _over_map(axes[0], data, "dG" if name == "3b_update" else "energy")
    else:
        x, y, apart, unit = _LINES[name]
        _over_lines(axes[-1], data, (x, y), apart, unit)


_MICRO, _NANO, _PICO = 1e6, 1e9, 1e12
"""In one unit of SI."""
_LINES: Mapping[str, tuple[str, str, str, float]] = {
    "2a_sweep": ("voltage", "conductance", _OF_EACH, _NANO),
    "2c_set": ("pulses", "conductance", _OF_EACH, _NANO),
    "2d_pulses": ("time", "conductance", _OF_EACH, _NANO),
    "2e_zoom": ("time", "conductance", _OF_EACH, _NANO),
    "3a_repeats": ("time", "dG", "voltage", _NANO),
    "3d_decay": ("time", "conductance", "trace", _NANO),
    "3e_sigmoid": ("bias voltage", "decay", "", 1.0),
}
"""Abscissa, ordinate, what parts the rows into lines, and the panel's unit over SI."""


def _over_lines(
    axes: Axes, data: Measurements, names: tuple[str, str], apart: str, unit: float
) -> None:
    x, y = (data.si(name) for name in names)
    kinds = [data.si(name) for name in dict.fromkeys((apart, _OF_EACH)) if name in data]
    line = np.zeros(len(x), int)
    if kinds:
        line = np.unique(np.stack(kinds), axis=1, return_inverse=True)[1].ravel()
    for k in np.unique(line):
        axes.plot(x[line == k], y[line == k] * unit, **(_LINE if apart else _CROSS))
    _hold(axes, y * unit)
    _say(axes, data)


def _hold(axes: Axes, values: Any) -> None:
    """Limits of the ordinate that hold what was laid over the panel too."""
    low, high = axes.get_ylim()
    known = values[np.isfinite(values)]
    axes.set_ylim(min(low, known.min()), max(high, known.max()))


_LINE: Any = {"color": "black", "linewidth": 0.7, "marker": ".", "markersize": 2}
_CROSS: Any = {"color": "black", "linestyle": "none", "marker": "x", "markersize": 5}


def _over_rounds(axes: Sequence[Axes], data: Measurements) -> None:
    rounds = data.labels["round"]
    if len(rounds) > len(axes):
        raise DataError(f"{data.at('round')}: the panel has {len(axes)} rounds, got {len(rounds)}")
    for k in range(len(rounds)):
        rows = data.si("round") == k
        values = data.si("conductance")[rows] * _NANO
        axes[k].plot(data.si("time")[rows], values, **_LINE)
        _hold(axes[k], values)
    _say(axes[0], data)


def _over_map(axes: Axes, data: Measurements, quantity: str) -> None:
    mesh = next(c for c in axes.collections if isinstance(c, QuadMesh))
    values = data.si(quantity) * (_NANO if quantity == "dG" else _PICO)
    known = np.isfinite(values)
    axes.scatter(
        data.si("width")[known] * _MICRO,
        data.si("voltage")[known],
        c=values[known],
        cmap=mesh.get_cmap(),
        norm=cast("Normalize", mesh.norm),
        edgecolors="black",
        s=70,
        zorder=3,
    )
    axes.set_xlabel(f"{axes.get_xlabel()}\ncircles: {data.path.name}, in the same colours")


def _say(axes: Axes, data: Measurements) -> None:
    """Which file it is, each further one above the last."""
    n = sum(text.get_gid() == _SOURCE_GID for text in axes.texts)
    axes.text(
        0.99,
        0.02 + 0.06 * n,
        f"black: {data.path.name}",
        transform=axes.transAxes,
        ha="right",
        fontsize=7,
        gid=_SOURCE_GID,
    )


_SOURCE_GID = "measured"
