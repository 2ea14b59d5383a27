"""Items that spiking neurons keep in F alone: recall, capacity, lifetimes and joules.

    mstpn working-memory --out working_memory

Writes the figure, three tables and, with --json, the numbers. The network and its theory are
`mstpn.network.working_memory`.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
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
from mstpn.network.frames import STEP_DURATION
from mstpn.network.working_memory.measure import ABLATIONS, DELAYS, Film, Kept, Rehearsal
from mstpn.network.working_memory.model import BETWEEN_ITEMS, COLUMNS, RECALL
from mstpn.network.working_memory.theory import lifetime, written
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

PROGRAM = "mstpn working-memory"
CHANCE = 1 / COLUMNS.minicolumns
N_ABLATED = 4
"""Items that are kept where a part is taken away."""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="A spiking working memory that is kept in F alone.")
    parser.add_argument(
        "--voltages",
        type=float,
        nargs="+",
        default=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        metavar="VOLT",
        help="bias voltages (0.1 0.2 0.3 0.4 0.5 0.6); items are counted at the last",
    )
    parser.add_argument(
        "--items",
        type=integer(1),
        nargs="+",
        default=[1, 2, 4, 8, 16, 32],
        metavar="N",
        help="numbers of items that are encoded one after the other (1 2 4 8 16 32)",
    )
    parser.add_argument("--cued", type=integer(1), default=3, metavar="N", help="of 7 parts (3)")
    parser.add_argument("--networks", type=integer(1), default=5, metavar="N", help="asked (5)")
    parser.add_argument(
        "--questions", type=integer(1), default=4, metavar="N", help="to each, at each point (4)"
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of the first network (0)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("working_memory"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


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
    tau = device.time_constant(last, STEP_DURATION)
    delays: dict[float, list[Kept]] = {v: [] for v in options.voltages}
    items: dict[int, list[Kept]] = {n: [] for n in options.items}
    ablated: dict[str, list[Any]] = {name: [] for name in ABLATIONS}
    synapses = []
    for k in range(options.networks):
        network = Rehearsal(
            *(device, STEP_DURATION, options.seed + k, options.cued), progress=progress
        )
        synapses.append(len(network.memory.synapses))
        for v in delays:
            delays[v].append(network.keep(v * volt, 1, DELAYS, options.questions))
        for n in items:
            items[n].append(network.keep(last, n, DELAYS[:1], options.questions))
        for name, right in network.ablate(last, N_ABLATED, tau, options.questions).items():
            ablated[name].append(right)
    film = network.film(last, 3, tau, 40)
    right = {name: np.concatenate(found) for name, found in ablated.items()}
    return Measured(network.memory.columns.neurons, synapses, delays, items, right, film)


def n_questions(options: argparse.Namespace) -> int:
    """How often `measure` calls `progress`."""
    points = len(set(options.voltages)) * len(DELAYS) + len(set(options.items)) + len(ABLATIONS)
    return int(options.networks * options.questions * points)


def delay_rows(found: Measured, device: Memristor) -> list[AfterDelay]:
    """Recall of one item, by voltage and delay."""
    rows = []
    for v, kept in found.delays.items():
        tau = float(device.time_constant(v * volt, STEP_DURATION) / second)
        age, recalled, expected = _joined(kept)
        for d in range(len(age)):
            share, error, n = _share(recalled[d])
            rows.append(
                AfterDelay(v, tau, float(age[d].mean()), share, float(expected[d].mean()), error, n)
            )
    return rows


def item_rows(found: Measured) -> list[WithItems]:
    """Recall by the number of items."""
    volt_ = list(found.delays)[-1]
    rows = []
    for n, kept in found.items.items():
        _, recalled, expected = _joined(kept)
        share, error, questions = _share(recalled[0])
        beyond = n * max(share - CHANCE, 0) / (1 - CHANCE)
        rows.append(
            WithItems(volt_, n, share, float(expected[0].mean()), error, beyond, questions)
        )
    return rows


def bias_rows(found: Measured, delays: Sequence[AfterDelay]) -> list[AtBias]:
    """Lifetime and joules of one item, by voltage."""
    rows = []
    for v, kept in found.delays.items():
        mine = [r for r in delays if r.volt == v]
        age = np.array([r.delay_s for r in mine])
        lasts, expected = (
            float(lifetime(age * second, [getattr(r, name) for r in mine], CHANCE) / second)
            for name in ("recalled", "expected")
        )
        by_term = {
            term: np.mean([k.energy[term] for k in kept], axis=0) for term in kept[0].energy
        }
        spent = {term: float(np.interp(lasts, age, e)) for term, e in by_term.items()}
        bias = by_term["bias"]
        rows.append(
            AtBias(
                volt=v,
                tau_s=mine[0].tau_s,
                lifetime_s=lasts,
                lifetime_expected_s=expected,
                bias_w=float((bias[-1] - bias[0]) / (age[-1] - age[0])),
                bias_j=spent["bias"],
                pulse_j=spent["pulse"],
                read_j=spent["read"],
                joule_per_item_second=sum(spent.values()) / lasts,
            )
        )
    return rows


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
    tau = float(device.time_constant(bias_voltage * volt, STEP_DURATION) / second)
    size = COLUMNS
    minicolumn, hypercolumn = (
        film.cells // size.cells % size.minicolumns,
        film.cells // (size.cells * size.minicolumns),
    )
    owner = np.full(len(film.cells), -1)
    for k, item in reversed(list(enumerate(film.items))):
        owner[item[hypercolumn] == minicolumn] = k
    between = float(BETWEEN_ITEMS / second)
    since = film.looks - between * np.arange(len(film.items))[:, None]
    expected = written(device.delta_f_max) * np.exp(-since / tau)
    known = (since > 0) & (film.looks <= film.cue)
    return Raster(
        cells=film.cells,
        times=film.times,
        owner=owner,
        lines=np.arange(size.hypercolumns) * size.cells * size.minicolumns,
        cue_s=film.cue,
        until_s=film.cue + float(RECALL / second),
        looks=film.looks,
        short_term=film.short_term,
        others=film.others,
        expected=np.where(known, expected, np.nan),
    )


def summary(
    found: Measured,
    delays: Sequence[AfterDelay],
    items: Sequence[WithItems],
    biases: Sequence[AtBias],
) -> str:
    """The numbers for a person."""
    synapses = np.mean(found.synapses)
    lines = [
        f"{found.neurons:,} neurons, {synapses:,.0f} memristors, {len(found.synapses)} networks; "
        f"chance {CHANCE:.0%}, {delays[0].questions} questions a point",
        "",
        "   V_bias      tau   lifetime   theory   bias power   until then: bias"
        "      pulses       reads   J per item and second",
    ]
    lines += [
        f"{r.volt:7.2f} V {1e3 * r.tau_s:6.0f} ms {1e3 * r.lifetime_s:7.0f} ms"
        f"{1e3 * r.lifetime_expected_s:6.0f} ms {1e6 * r.bias_w:9.4g} uW {1e6 * r.bias_j:15.4g} uJ"
        f"{1e9 * r.pulse_j:9.3g} nJ{1e9 * r.read_j:9.3g} nJ {1e6 * r.joule_per_item_second:16.4g} uJ"
        for r in biases
    ]
    power = biases[-1].bias_w
    lines += ["", f"at {items[0].volt:.2f} V, {1e3 * float(BETWEEN_ITEMS / second):.0f} ms after "
              "the last item", "  items   recalled   theory   kept   bias by item kept"]
    for i in items:
        price = f"{1e6 * power / i.kept:12.4g} uW" if i.kept > 0 else f"{'none is':>15}"
        lines.append(
            f"{i.items:7} {i.recalled:8.0%} +- {i.error:.0%}{i.expected:7.0%}{i.kept:7.1f}{price}"
        )
    most = max(items, key=lambda i: i.kept)
    lines += ["", f"most kept at once: {most.kept:.1f} of {most.items}", "", _asking(found), ""]
    lines.append(f"{N_ABLATED} items at {items[0].volt:.2f} V, one tau later, recalled")
    lines += [
        f"  {name:<20} {share:5.0%} +- {error:.0%}"
        for name, (share, error, _) in ((n, _share(r)) for n, r in found.ablated.items())
    ]
    return "\n".join(lines)


def _asking(found: Measured) -> str:
    asked = [k.asking for kept in found.delays.values() for k in kept[:1]]
    terms = ((t, [1e9 * a[t] for a in asked]) for t in ("pulse", "read", "bias"))
    said = ", ".join(f"{term} {min(e):.3g} to {max(e):.3g} nJ" for term, e in terms)
    return f"one question, of a fresh item, over all voltages: {said}"


def main(arguments: list[str] | None = None) -> int:
    """Run, draw, write, print; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        device = Memristor.from_file(options.device)
        device.decay(options.voltages * volt)
        use_target(options.target)
        with tqdm(desc="asking", total=n_questions(options), disable=None) as bar:
            found = measure(options, device, bar.update)
        delays, items = delay_rows(found, device), item_rows(found)
        biases = bias_rows(found, delays)
        raster = raster_of(found.film, device, options.voltages[-1])
        figure = draw_working_memory(raster, delays, items, biases, CHANCE)
        with replacing(options.out / "working_memory.png") as partial:
            figure.savefig(partial, format="png")
        tables = {"delays": delays, "items": items, "lifetimes": biases}
        written_out = {name: [asdict(r) for r in rows] for name, rows in tables.items()}
        for name, rows in written_out.items():
            atomic_write(options.out / f"{name}.csv", csv_text(rows).encode())
        if options.json is not None:
            shares = {n: dict(zip(("recalled", "error", "questions"), _share(r), strict=True))
                      for n, r in found.ablated.items()}
            sizes = {"neurons": found.neurons, "synapses": found.synapses}
            write_json(options.json, written_out | {"ablated": shares} | sizes)
        print(summary(found, delays, items, biases))
        print(f"\nfigure and tables in {options.out}")

    return exit_status(PROGRAM, work)
