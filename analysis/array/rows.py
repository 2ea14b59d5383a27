"""Questions to an array, each a number against a limit: yes, no, or not known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2.units import Quantity, amp, joule, metre, ohm, second, volt, watt
from brian2.units.allunits import metre2

from mstpn.analysis.array.traffic import Traffic
from mstpn.analysis.energy.energies import marks
from mstpn.analysis.report.wording import number, prefixed
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Sourced

__all__ = ["Facts", "Number", "Row", "lasting", "rows", "verdict"]

_UNITS = {"A": amp, "W": watt, "s": second, "J": joule, "V": volt, "ohm": ohm, "m2": metre2}
_SPANS = (("years", 31557600.0), ("days", 86400.0), ("h", 3600.0), ("min", 60.0))
_COUNTED = ("counted",)


@dataclass(frozen=True)
class Number:
    """A number, and where it comes from.

    Parameters
    ----------
    name : str
    value : float
        In the unit.
    unit : str
        "1", "bit", or an SI unit.
    marks : sequence of str
        Keys of `mstpn.analysis.report.markup.MARKS`.
    source : str
        What it rests on, where the marks do not tell.
    """

    name: str
    value: float
    unit: str = "1"
    marks: Sequence[str] = _COUNTED
    source: str = ""

    @property
    def text(self) -> str:
        """With its unit."""
        if self.unit == "s":
            return lasting(self.value)
        if self.unit == "m2":
            return f"{number(1e6 * self.value)} mm\N{SUPERSCRIPT TWO}"
        if self.unit in ("A", "W", "J", "V", "m"):
            return prefixed(self.value, self.unit)
        if self.unit == "%":
            return f"{number(100 * self.value)} %"
        text = number(self.value) if self.value < 1e6 else f"{self.value:.3g}"
        if self.value == int(self.value) and self.value < 1e6:
            text = f"{int(self.value):,}"
        return text if self.unit == "1" else f"{text} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """Plain; the unit of a share is "1"."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": "1" if self.unit == "%" else self.unit,
            "provenance": list(self.marks),
            "source": self.source,
        }


def lasting(seconds: float) -> str:
    """A time in the unit that suits it."""
    for name, length in _SPANS:
        if seconds >= length:
            return f"{number(seconds / length)} {name}"
    return prefixed(seconds, "s")


@dataclass(frozen=True)
class Row:
    """A question and its answer.

    Parameters
    ----------
    key, title : str
    number : Number or None
        What must not exceed the limit.
    limit : Number or None
    but : str
        What the array lacks if it does, or what is not known, for the verdict.
    beside : sequence of Number
    note : str
    """

    key: str
    title: str
    number: Number | None
    limit: Number | None
    but: str
    beside: Sequence[Number] = ()
    note: str = ""

    @property
    def answer(self) -> str:
        """Yes, no, or unknown."""
        if self.number is None or self.limit is None:
            return "unknown"
        return "yes" if self.number.value <= self.limit.value else "no"

    def to_json(self) -> dict[str, Any]:
        """Plain."""
        both = {"number": self.number, "limit": self.limit}
        return {
            "question": self.key,
            "title": self.title,
            "answer": self.answer,
            **{name: n and n.to_json() for name, n in both.items()},
            "beside": [n.to_json() for n in self.beside],
            "note": self.note,
        }


@dataclass(frozen=True)
class Facts:
    """What was found out about an array.

    Parameters
    ----------
    device : Memristor
    limits : mapping of str to Sourced
        Of `mstpn.analysis.array.limits.limits`.
    traffic : Traffic
    step : Quantity, second
        Of the network.
    bias_lines : str
    voltages : Quantity, volt
        Of all bias lines.
    step_time : mapping of str to float
        As in `mstpn.network.step_time.StepTime.summary`.
    sags : mapping of str to float or None
        `read`, `read_mean`, `bias`, as in `mstpn.network.line_drop.LineDrop`.
    resistances : mapping of str to Quantity or None, ohm
        Where `read` and `bias` reach the limit.
    bits : tuple
        As `mstpn.bridge.converter_bits.Bits`.
    programming : mapping of str to float
        Facts of a programmed array.
    tolerance : float
    retention : Quantity, second, or None
    endurance : float or None
    """

    device: Memristor
    limits: Mapping[str, Sourced]
    traffic: Traffic
    step: Quantity
    bias_lines: str
    voltages: Quantity
    step_time: Mapping[str, float]
    sags: Mapping[str, float | None]
    resistances: Mapping[str, Quantity | None]
    bits: Any
    programming: Mapping[str, Any]
    tolerance: float
    retention: Quantity | None = None
    endurance: float | None = None
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.traffic.pulses.shape)

    def limit(self, name: str, title: str, unit: str) -> Number:
        """One of the limits."""
        found = self.limits[name]
        value = float(found.value / _UNITS.get(unit, 1))
        return Number(title, value, unit, (found.provenance,), found.source)

    def of(self, *names: str, counted: bool = True) -> tuple[str, ...]:
        """Marks of constants of the device, or of terms of the energy."""
        found = [
            mark
            for name in names
            for mark in (
                [self.device.provenance(name)]
                if hasattr(self.device, name)
                else marks(self.device, [name]).split(", ")
            )
        ]
        return tuple(dict.fromkeys([*(_COUNTED if counted else ()), *found]))


_CURRENT = ("worst-case bias", "read_voltage")
_HELD = ("bias",)


def rows(facts: Facts) -> list[Row]:
    """All questions."""
    return [question(facts) for question in _QUESTIONS]


def verdict(found: Iterable[Row]) -> str:
    """All answers in one sentence."""
    asked = list(found)
    lacks = [row.but for row in asked if row.answer == "no"]
    unknown = [row.but for row in asked if row.answer == "unknown"]
    said = f"Buildable but for {_listed(lacks)}" if lacks else "Buildable as far as is known"
    return f"{said}{f'; not known: {_listed(unknown)}' if unknown else ''}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _wiring(f: Facts) -> Row:
    m, n = f.shape
    volts = np.asarray(f.voltages / volt)
    return Row(
        "bias lines",
        "Bias voltages, a line each",
        Number("separate bias voltages", volts.size),
        Number("rows and columns", m + n),
        f"{volts.size:,} bias voltages on {m + n:,} lines",
        [
            Number("rows", m),
            Number("columns", n),
            Number("lowest", float(volts.min()), "V", f.of("decay_half_voltage")),
            Number("highest", float(volts.max()), "V", f.of("decay_half_voltage")),
        ],
        f"One voltage per {f.bias_lines}, each of a generator of its own; a switch at every line "
        "leads to it between pulses and reads.",
    )


def _current(f: Facts) -> Row:
    t = f.traffic
    shown = {
        "column, read": (t.read_column, _CURRENT),
        "row, read": (t.read_row, _CURRENT),
        "column, bias": (t.bias_column, _HELD),
        "row, bias": (t.bias_row, _HELD),
        "column, read, mean": (t.read_column_mean, _CURRENT),
        "row, read, mean": (t.read_row_mean, _CURRENT),
    }
    found = [Number(k, float(v / amp), "A", f.of(*names)) for k, (v, names) in shown.items()]
    most = max(found[:4], key=lambda n: n.value)
    limit = f.limit("line_current", "of a line", "A")
    return Row(
        *("line current", "Current of a line", most, limit),
        f"{most.text} in one line",
        [n for n in found if n is not most],
    )


def _time(f: Facts) -> Row:
    step, used, read = float(f.step / second), f.step_time, f.device.read_duration
    width = f.device.pulse_width
    named = f.of("pulse_width", "read_duration")
    busy = used["time_max"] * step
    pulses = f.traffic.pulses.sum() / float(f.traffic.duration / second)
    return Row(
        "step time",
        "Write and read within a step",
        Number("fullest step", busy, "s", named),
        Number("step", step, "s", f.of("decay_duration", counted=False)),
        f"steps that take {number(100 * used['time_max'])} % of their time",
        [
            Number("share, at most", used["time_max"], "%", named),
            Number("share, mean", used["time_mean"], "%", named),
            Number("rows written, at most", used["rows_max"]),
            Number("rows written, mean", used["rows_mean"]),
            Number("writing, mean", used["rows_mean"] * float(width / second), "s", named),
            Number("a read, at most", f.traffic.z_reach * float(read / second), "s", named),
            Number("left for the bias, at least", max(step - busy, 0.0), "s", named),
            Number("pulses a second", pulses),
            Number("pulses of a step, at most", f.traffic.pulses_frame),
        ],
        "Rows are written one after the other, then all inputs are read at once.",
    )


def _power(f: Facts) -> Row:
    t = f.traffic
    most = Number("at most", float(t.bias_power / watt), "W", f.of(*_HELD))
    mean = Number("mean", float(t.bias_power_mean / watt), "W", f.of(*_HELD))
    limit = f.limit("bias_power", "all the time", "W")
    return Row(
        *("bias power", "Power held by the bias", most, limit),
        f"{most.text} of static power",
        [mean],
    )


def _unselected(f: Facts) -> Row:
    device = f.device
    half = device.pulse_delta(device.pulse_voltage / 2, device.pulse_width) / device.delta_f_max
    least = device.pulse_delta(device.pulse_voltage_min, device.pulse_width)
    law = ("pulse_conductance_exponent", "pulse_conductance")
    moved = Number("F of the others of a column", f.traffic.column_update * half, "1", f.of(*law))
    return Row(
        "half selection",
        "Writing leaves other rows alone",
        moved,
        Number("the smallest pulse", float(least), "1", f.of(*law, counted=False)),
        f"selectors (half a pulse on rows that are not written moves their F by {moved.text})",
        [Number("share of a pulse at half its voltage", half, "%", f.of(law[0], counted=False))],
        "Without selectors rows that are not written see half of each pulse (scheme V/2).",
    )


def _sag(f: Facts, name: str, title: str) -> Row:
    found, at = f.sags[name], f.resistances[name]
    per_cell = f.limit("line_resistance", "line, a cell", "ohm")
    named = f.of("worst-case bias" if name == "read" else "bias") + tuple(per_cell.marks)
    beside = [per_cell]
    if name == "read":
        beside.append(Number("mean", float(f.sags["read_mean"] or 0), "%", named))
    if at is not None:
        reached = float(at / ohm)
        beside.append(Number("the limit is reached at, a cell", reached, "ohm", named))
    return Row(
        f"{name} sag",
        title,
        None if found is None else Number("at worst", found, "%", named),
        f.limit("sag", "of it", "%"),
        f"lines that take {number(100 * found)} % of a {_SAGGING[name]}"
        if found is not None
        else f"what becomes of a {_SAGGING[name]}",
        beside,
        "" if found is not None else "No line holds a voltage.",
    )


_SAGGING = {"read": "read current", "bias": "held voltage"}


def _read_sag(f: Facts) -> Row:
    return _sag(f, "read", "Sag of a read current")


def _bias_sag(f: Facts) -> Row:
    return _sag(f, "bias", "Sag of a held bias voltage")


def _converter(f: Facts, side: str, title: str, reach: Sequence[Number]) -> Row:
    needed, kept = getattr(f.bits, side), getattr(f.bits, f"kept_{side}")
    allowed = f.limit(f"{side[:-1]}_bits", "converters", "bit")
    share = f.limit("kept_actions", "actions that must stay", "%")
    tried = max(kept)
    shown = sorted({b for b in (int(allowed.value), tried - 1, tried) if b in kept})
    fewest = needed or tried + 1
    return Row(
        f"{side[:-1]} bits",
        title,
        Number("fewest", fewest, "bit", (*_COUNTED, *share.marks)),
        allowed,
        f"{fewest} bits at the {side}",
        [*reach, share, *(Number(f"stay at {b} bits", kept[b], "%") for b in shown)],
        "Greedy actions of the recorded frames, shown again to the network with converters over "
        "this range. One that differs need not cost a point: mstpn robustness plays so.",
    )


def _inputs(f: Facts) -> Row:
    t = f.traffic
    reach = [Number("z, least", t.z_least), Number("z, most", t.z_most)]
    return _converter(f, "inputs", "Bits of the inputs", reach)


def _outputs(f: Facts) -> Row:
    reach = [Number("a weight times an input, at most", f.traffic.u_most)]
    unit = f.device.read_voltage * f.device.weight_conductance
    named = f.of("read_voltage", "weight_conductance")
    current = float(f.traffic.u_most * unit / amp)
    reach.append(Number("as a current over a read of 1", current, "A", named))
    row = _converter(f, "outputs", "Bits of the outputs", reach)
    if f.bits.kept_both is None:
        return row
    both = Number("stay with both", f.bits.kept_both, "%")
    return Row(row.key, row.title, row.number, row.limit, row.but, [*row.beside, both], row.note)


def _programming(f: Facts) -> Row:
    p = f.programming
    named = f.of("set_width", "set_voltage", "set_fraction")
    others = p["time_s"] - p["pulse_time_rows_s"]
    share = p["given_up"] / p["devices"]
    return Row(
        "programming",
        "Time of programming W",
        Number("by rows", p["time_s"], "s", named),
        f.limit("programming_time", "once", "s"),
        f"{lasting(p['time_s'])} of programming",
        [
            Number("device by device", others + p["pulse_time_serial_s"], "s", named),
            Number("energy on selected devices", p["pulse_j"], "J", named),
            Number("on half-selected ones", p["half_selected_j"], "J", named),
            Number("pulses of a device, median", p["pulses_median"], "1", named),
            Number("given up", share, "%", named),
            Number("tolerance of W", f.tolerance, "1", ("given",)),
        ],
    )


def _refresh(f: Facts) -> Row:
    p = f.programming
    once = Number("programming", p["time_s"], "s", f.of("set_width", "set_fraction"))
    if f.retention is None:
        return Row(
            *("retention", "Refresh of W", once, None, "how long W is kept"),
            note="No retention is known: it takes W at rest and under its bias over hours to days. "
            "The paper shows 240 s. Give --retention.",
        )
    held = float(f.retention / second)
    spent = (p["pulse_j"] + p["half_selected_j"] + p["read_j"]) / held
    return Row(
        "retention",
        "Refresh of W",
        once,
        Number("retention", held, "s", ("given",)),
        f"W, gone after {lasting(held)}",
        [
            Number("share of the time", p["time_s"] / held, "%", once.marks),
            Number("power of refreshing", spent, "W", once.marks),
        ],
    )


def _wear(f: Facts) -> Row:
    t, life = f.traffic, f.limit("lifetime", "lifetime", "s")
    most = float(t.pulses.max())
    a_second = most / float(t.duration / second)
    needed = Number("pulses of one device", a_second * life.value, "1", (*_COUNTED, *life.marks))
    beside = [life, Number("pulses a game, most-written device", most / t.n_games)]
    beside.append(Number("the same, mean of devices", float(t.pulses.mean()) / t.n_games))
    ends = {"endurance_low": "published, low", "endurance_high": "published, high"}
    known = [f.limit(name, said, "1") for name, said in ends.items()]
    note = "Published endurances are of full cycles, which these pulses are not."
    limit = None
    if f.endurance is not None:
        limit = Number("endurance", f.endurance, "1", ("given",))
        known, note = [limit], ""
    for each in known if most else []:
        lasts = Number(f"worn out at {each.text} after", each.value / a_second, "s", each.marks)
        beside.append(Number(lasts.name, lasts.value, "s", each.marks, each.source))
        games = each.value * t.n_games / most
        beside.append(Number("that is, games", games, "1", each.marks))
    note = note if limit else f"No endurance is known: give --endurance. {note}"
    but = f"{needed.text} pulses on one device in {life.text}"
    but = but if limit else "how many pulses a device bears"
    return Row("endurance", "Wear by pulses", needed, limit, but, beside, note)


def _area(f: Facts) -> Row:
    m, n = f.shape
    ends = [f.limits["pitch_from"], f.limits["pitch_to"]]
    small, large = (
        Number("area", m * n * float(e.value / metre) ** 2, "m2", (e.provenance,), e.source)
        for e in ends
    )
    wide = float(ends[1].value / metre)
    return Row(
        "area",
        "Area of the array",
        Number("at the widest pitch", large.value, "m2", large.marks, large.source),
        f.limit("area", "of a block", "m2"),
        f"{large.text} of devices",
        [
            Number("at the narrowest", small.value, "m2", small.marks, small.source),
            *(
                Number(f"pitch, {which}", float(e.value / metre), "m", (e.provenance,), e.source)
                for which, e in zip(("narrowest", "widest"), ends, strict=True)
            ),
            Number("longest line", max(m, n) * wide, "m", large.marks),
        ],
        "Of the devices alone, without drivers and converters.",
    )


_QUESTIONS: tuple[Callable[[Facts], Row], ...] = (
    *(_wiring, _current, _time, _power, _unselected, _read_sag, _bias_sag),
    *(_inputs, _outputs, _programming, _refresh, _wear, _area),
)
