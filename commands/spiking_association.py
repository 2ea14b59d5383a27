"""Letters and digits tied by one coincidence of spikes, and recalled: how long is up to the bias.

    mstpn spiking-association --out association

Writes the figure, the table and, with --json, the numbers. The network and its theory are
`mstpn.network.association`.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from brian2.units import joule, second, volt
from scipy.integrate import trapezoid
from tqdm import tqdm

from mstpn.analysis.pictures.association import RecallRow, draw_association
from mstpn.network.association import (
    DT,
    N_DIGITS,
    N_PAIRS,
    Recalled,
    chance_of_recall,
    recall,
)
from mstpn.synapses import law
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.spiking import TRACE_DURATION
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text

PROGRAM = "mstpn spiking-association"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="One-shot association of spiking neurons in F.")
    parser.add_argument(
        "--voltages",
        type=finite,
        nargs="+",
        default=[0.2, 0.3, 0.4, 0.5, 0.6],
        metavar="VOLT",
        help="bias voltages (0.2 0.3 0.4 0.5 0.6)",
    )
    parser.add_argument(
        "--sequences", type=integer(1), default=60, metavar="N", help="at each voltage (60)"
    )
    parser.add_argument(
        "--gamma",
        type=finite,
        metavar="DF",
        help="update by a coincidence; the device's largest if absent, 0 for no memory",
    )
    parser.add_argument("--seed", type=integer(0), default=0, help="of every draw (0)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("association"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


def rows_of(found: Recalled, device: Memristor, gamma: float | None) -> list[RecallRow]:
    """Share of right answers and the theory's, by voltage and delay."""
    rate = device.delta_f_max if gamma is None else gamma
    limits = device.write_limits()
    issued = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain")
    wanted = rate * np.exp(-float(DT / TRACE_DURATION))
    written = issued(wanted, limits.delta_f_min, limits.delta_f_max, 1.0)
    rows = []
    for v, voltage in enumerate(found.bias_voltage):
        tau = device.time_constant(voltage)
        for k, delay in enumerate(found.delay):
            age = found.age[v, k]
            expected = chance_of_recall(written * np.exp(-np.asarray(age / tau)), device)
            rows.append(
                RecallRow(
                    volt=float(voltage / volt),
                    tau_s=float(tau / second),
                    delay_s=float(delay / second),
                    age_s=float(np.mean(age) / second),
                    recalled=float(found.right[v, k].mean()),
                    expected=float(expected.mean()),
                    sequences=found.right.shape[2],
                )
            )
    return rows


def table(rows: list[RecallRow], found: Recalled) -> str:
    """The summary for a person."""
    delays = [float(d / second) for d in found.delay]
    lines = [
        f"{N_PAIRS} pairs a sequence, {rows[0].sequences} sequences a voltage; chance "
        f"{1 / N_DIGITS:.0%}",
        "",
        "   V_bias      tau   recalled after (s)"
        + "".join(f"{d:7.2f}" for d in delays)
        + "    bias (nJ)  pulses (nJ)  nJ a pair and second recalled",
    ]
    for v, voltage in enumerate(found.bias_voltage):
        mine = [r for r in rows if r.volt == float(voltage / volt)]
        bias, pulse = (1e9 * float(found.energy[t][v] / joule) for t in ("bias", "pulse"))
        kept = remembered(mine)
        price = f"{(bias + pulse) / kept:17.4g}" if kept > 0 else f"{'none is':>17}"
        lines.append(
            f"{mine[0].volt:7.2f} V {1e3 * mine[0].tau_s:6.0f} ms{'':20}"
            + "".join(f"{r.recalled:7.0%}" for r in mine)
            + f"{bias:13.4g}{pulse:13.3g}{price}"
        )
    return "\n".join(lines)


def remembered(rows: list[RecallRow]) -> float:
    """Pair-seconds above chance, by the theory, of one sequence over all its delays."""
    chance = 1 / N_DIGITS
    above = [max(r.expected - chance, 0) / (1 - chance) for r in rows]
    first = rows[0].delay_s * above[0]
    return N_PAIRS * (first + float(trapezoid(above, [r.delay_s for r in rows])))


def main(arguments: list[str] | None = None) -> int:
    """Run, draw, write, print; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        device = Memristor.from_file(options.device)
        device.decay(options.voltages * volt)
        use_target(options.target)
        delay = np.geomspace(0.05, 5, 9) * second
        with tqdm(desc="recalling", total=len(delay), disable=None) as bar:
            found = recall(
                *(device, options.voltages * volt, delay),
                *(options.sequences, options.seed, options.gamma, bar.update),
            )
        rows = rows_of(found, device, options.gamma)
        figure = draw_association(rows, *found.trace, 1 / N_DIGITS)
        with replacing(options.out / "association.png") as partial:
            figure.savefig(partial, format="png")
        atomic_write(options.out / "association.csv", csv_text([asdict(r) for r in rows]).encode())
        if options.json is not None:
            energy = {t: np.asarray(e / joule).tolist() for t, e in found.energy.items()}
            write_json(options.json, {"rows": [asdict(r) for r in rows], "energy_j": energy})
        print(table(rows, found))
        print(f"\nfigure and table in {options.out}")

    return exit_status(PROGRAM, work)
