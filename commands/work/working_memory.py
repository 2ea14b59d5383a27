"""Recall of a spiking working memory: asked, summed up and drawn."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from brian2.units import second, volt
from numpy.typing import NDArray
from tqdm import tqdm

from mstpn.analysis.pictures.working_memory import (
    AfterDelay,
    AtBias,
    Raster,
    WithItems,
    draw_working_memory,
)
from mstpn.network.working_memory.columns import COLUMNS
from mstpn.network.working_memory.measure import ABLATIONS, DELAYS, Film, Kept, Rehearsal
from mstpn.network.working_memory.model import BETWEEN_ITEMS, DT, RECALL, VOLLEY
from mstpn.network.working_memory.theory import lifetime, recall_of_one, written
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

CHANCE = 1 / COLUMNS.minicolumns
Curves = dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]
N_ABLATED = 4
"""Items that are kept where a part is taken away."""


@dataclass(frozen=True)
class Measured:
    """What all networks did.

    Parameters
    ----------
    neurons : int
        Of one network.
    synapses : list of int
        Of each network.
    delays : dict of float to list of Kept
        By voltage, one for each network.
    items : dict of int to list of Kept
        By number of items.
    ablated : dict of str to ndarray
        Shares of right answers.
    film : Film
        Of the last network.
    """

    neurons: int
    synapses: list[int]
    delays: dict[float, list[Kept]]
    items: dict[int, list[Kept]]
    ablated: dict[str, NDArray[np.float64]]
    film: Film


def measure(
    options: argparse.Namespace, device: Memristor, progress: Callable[[], Any]
) -> Measured:
    """Ask one network after the other."""
    last = options.voltages[-1] * volt
    tau = device.time_constant(last)
    delays: dict[float, list[Kept]] = {v: [] for v in options.voltages}
    items: dict[int, list[Kept]] = {n: [] for n in options.items}
    ablated: dict[str, list[Any]] = {name: [] for name in ABLATIONS}
    synapses = []
    for k in range(options.networks):
        network = Rehearsal(*(device, options.seed + k, options.cued, COLUMNS), progress)
        synapses.append(len(network.memory.synapses))
        for v in delays:
            delays[v].append(network.keep(v * volt, 1, DELAYS, options.questions))
        for n in items:
            items[n].append(network.keep(last, n, DELAYS[:1], 2 * options.questions))
        for name, right in network.ablate(last, N_ABLATED, tau, options.questions).items():
            ablated[name].append(right)
    film = network.film(last, 3, tau, 40)
    shares = {name: np.concatenate(parts) for name, parts in ablated.items()}
    return Measured(network.memory.columns.neurons, synapses, delays, items, shares, film)


def n_questions(options: argparse.Namespace) -> int:
    """How often `measure` calls `progress`."""
    delays, items = len(set(options.voltages)) * len(DELAYS), 2 * len(set(options.items))
    return int(options.networks * options.questions * (delays + items + len(ABLATIONS)))


def delay_rows(measured: Measured, device: Memristor) -> list[AfterDelay]:
    """Recall of one item, by voltage and delay."""
    rows = []
    for v, kept in measured.delays.items():
        tau = float(device.time_constant(v * volt) / second)
        age, recalled, expected = _joined(kept)
        for d in range(len(age)):
            share, error, n = _share(recalled[d])
            rows.append(
                AfterDelay(v, tau, float(age[d].mean()), share, float(expected[d].mean()), error, n)
            )
    return rows


def item_rows(measured: Measured) -> list[WithItems]:
    """Recall by the number of items."""
    volt_ = list(measured.delays)[-1]
    rows = []
    for n, kept in measured.items.items():
        _, recalled, expected = _joined(kept)
        share, error, questions = _share(recalled[0])
        beyond = n * max(share - CHANCE, 0) / (1 - CHANCE)
        rows.append(WithItems(volt_, n, share, float(expected[0].mean()), error, beyond, questions))
    return rows


def theory_of(options: argparse.Namespace, device: Memristor) -> Curves:
    """Delay in second and recall expected of one item, by voltage."""
    curves = {}
    for v in options.voltages:
        tau = float(device.time_constant(v * volt) / second)
        delay = float(BETWEEN_ITEMS / second) + tau * np.linspace(0, DELAYS[-1], 81)
        f = written(device.delta_f_max) * np.exp(-delay / tau)
        curves[v] = delay, recall_of_one(f, options.cued, COLUMNS, device)
    return curves


def bias_rows(measured: Measured, delays: Sequence[AfterDelay], theory: Curves) -> list[AtBias]:
    """Lifetime and joules of one item, by voltage."""
    rows = []
    for v, kept in measured.delays.items():
        mine = [r for r in delays if r.volt == v]
        age = np.array([r.delay_s for r in mine])
        lasts = _lifetime(age, [r.recalled for r in mine])
        by_term = {t: np.mean([k.energy[t] for k in kept], axis=0) for t in kept[0].energy}
        spent = {t: float(np.interp(lasts, age, e)) for t, e in by_term.items()}
        bias = by_term["bias"]
        rows.append(
            AtBias(
                volt=v,
                tau_s=mine[0].tau_s,
                lifetime_s=lasts,
                lifetime_expected_s=_lifetime(*theory[v]),
                bias_w=float((bias[-1] - bias[0]) / (age[-1] - age[0])),
                bias_j=spent["bias"],
                pulse_j=spent["pulse"],
                read_j=spent["read"],
                joule_per_item_second=sum(spent.values()) / lasts,
            )
        )
    return rows


def _lifetime(delay: NDArray[np.float64], recalled: Any) -> float:
    return float(lifetime(delay * second, recalled, CHANCE) / second)


def _joined(kept: Sequence[Kept]) -> Iterator[NDArray[np.float64]]:
    return (
        np.concatenate([getattr(k, name) for k in kept], axis=1)
        for name in ("age", "recalled", "expected")
    )


def _share(right: NDArray[np.float64]) -> tuple[float, float, int]:
    n = right.size
    error = float(np.std(right, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return float(right.mean()), error, n


def raster_of(film: Film, device: Memristor, bias_voltage: float) -> Raster:
    """What the figure shows of a film."""
    tau = float(device.time_constant(bias_voltage * volt) / second)
    size = COLUMNS
    minicolumn, hypercolumn = (
        film.cells // size.cells % size.minicolumns,
        film.cells // (size.cells * size.minicolumns),
    )
    soon = film.times + float(DT / second) / 2  # of a spike in the step that an item begins with
    last = np.searchsorted(film.shown, soon, side="right") - 1
    shown = np.where(soon < film.cue, last, film.asked)
    own = film.items[shown, hypercolumn] == minicolumn
    since = film.looks - film.shown[:, None]
    expected = written(device.delta_f_max) * np.exp(-since / tau)
    known = (since > 0) & (film.looks <= film.cue)
    return Raster(
        cells=film.cells,
        times=film.times,
        owner=np.where(own, shown, -1),
        lines=np.arange(size.hypercolumns) * size.cells * size.minicolumns,
        shown_s=film.shown,
        cue_s=film.cue,
        driven_s=film.cue + float(VOLLEY / second),
        until_s=film.cue + float(RECALL / second),
        looks=film.looks,
        short_term=film.short_term,
        others=film.others,
        expected=np.where(known, expected, np.nan),
    )


def summary(
    measured: Measured,
    delays: Sequence[AfterDelay],
    items: Sequence[WithItems],
    biases: Sequence[AtBias],
) -> str:
    """The numbers for a person."""
    lines = [
        f"{measured.neurons:,} neurons, {np.mean(measured.synapses):,.0f} memristors, "
        f"{len(measured.synapses)} networks; chance {CHANCE:.0%}, "
        f"{delays[0].questions} questions after each delay",
        "",
        "one item",
        "   V_bias       tau  lifetime    theory  bias power   until then: bias    pulses"
        "      reads  by item and second",
        *(_bias_line(r) for r in biases),
        "",
        f"at {items[0].volt:.2f} V, {1e3 * float(BETWEEN_ITEMS / second):.0f} ms after the last",
        "  items        recalled  theory   kept  bias by item kept",
        *(_item_line(i, biases[-1].bias_w) for i in items),
        "",
        _asking(measured),
        "",
        f"{N_ABLATED} items at {items[0].volt:.2f} V, recalled one tau later",
    ]
    for name, right in measured.ablated.items():
        share, error, _ = _share(right)
        lines.append(f"  {name:<20}{share:5.0%} +- {error:.0%}")
    return "\n".join(lines)


def _bias_line(r: AtBias) -> str:
    lasts, theory = (
        "outside" if np.isnan(t) else f"{1e3 * t:.0f} ms"
        for t in (r.lifetime_s, r.lifetime_expected_s)
    )
    return (
        f"{r.volt:7.2f} V{1e3 * r.tau_s:7.0f} ms{lasts:>10}{theory:>10}{1e6 * r.bias_w:9.4g} uW"
        f"{1e6 * r.bias_j:16.4g} uJ{1e9 * r.pulse_j:7.3g} nJ{1e9 * r.read_j:8.3g} nJ"
        f"{1e6 * r.joule_per_item_second:17.4g} uJ"
    )


def _item_line(row: WithItems, power: float) -> str:
    price = f"{1e6 * power / row.kept:14.4g} uW" if row.kept > 0 else f"{'none is':>17}"
    return (
        f"{row.items:7}{row.recalled:9.0%} +- {row.error:3.0%}{row.expected:8.0%}"
        f"{row.kept:7.1f}{price}"
    )


def _asking(measured: Measured) -> str:
    asked = [k.asking for kept in measured.delays.values() for k in kept[:1]]
    terms = ((t, [1e9 * a[t] for a in asked]) for t in ("pulse", "read", "bias"))
    energies = ", ".join(f"{term} {min(e):.3g} to {max(e):.3g} nJ" for term, e in terms)
    return f"one question, of a fresh item, over all voltages: {energies}"


def _beside(measured: Measured) -> dict[str, Any]:
    """What a program may want to know beside the tables."""
    ablated = {}
    for name, right in measured.ablated.items():
        share, error, questions = _share(right)
        ablated[name] = {"recalled": share, "error": error, "questions": questions}
    asking = {f"{v:g}": kept[0].asking for v, kept in measured.delays.items()}
    sizes = {"neurons": measured.neurons, "synapses": measured.synapses}
    return {"ablated": ablated, "question_joule": asking, **sizes}


def run(options: argparse.Namespace) -> None:
    """Ask, draw, write, print."""
    device = Memristor.from_file(options.device)
    device.decay(options.voltages * volt)
    use_target(options.target)
    with tqdm(desc="asking", total=n_questions(options), disable=None) as bar:
        measured = measure(options, device, bar.update)
    delays, items = delay_rows(measured, device), item_rows(measured)
    theory = theory_of(options, device)
    biases = bias_rows(measured, delays, theory)
    raster = raster_of(measured.film, device, options.voltages[-1])
    figure = draw_working_memory(raster, delays, items, biases, theory, CHANCE)
    with replacing(options.out / "working_memory.png") as partial:
        figure.savefig(partial, format="png")
    tables: dict[str, list[Any]] = {"delays": delays, "items": items, "lifetimes": biases}
    plain: dict[str, Any] = {n: [asdict(r) for r in rows] for n, rows in tables.items()}
    for name, rows in plain.items():
        atomic_write(options.out / f"{name}.csv", csv_text(rows).encode())
    if options.json is not None:
        write_json(options.json, plain | _beside(measured))
    print(summary(measured, delays, items, biases))
    print(f"\nfigure and tables in {options.out}")
