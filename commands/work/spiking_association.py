"""Recall of letters and digits by spiking neurons: asked, summed up and drawn."""

import argparse
from dataclasses import asdict

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
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import TRACE_DURATION
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json
from mstpn.synapses.support.tidy import csv_text


def rows_of(recalled: Recalled, device: Memristor, gamma: float | None) -> list[RecallRow]:
    """Share of right answers and the theory's, by voltage and delay."""
    rate = device.delta_f_max if gamma is None else gamma
    limits = device.write_limits()
    issued = law.function(law.ISSUE, "wanted, dF_min, dF_max, pulse_gain")
    wanted = rate * np.exp(-float(DT / TRACE_DURATION))
    written = issued(wanted, limits.delta_f_min, limits.delta_f_max, 1.0)
    rows = []
    for v, voltage in enumerate(recalled.bias_voltage):
        tau = device.time_constant(voltage)
        for k, delay in enumerate(recalled.delay):
            age = recalled.age[v, k]
            expected = chance_of_recall(written * np.exp(-np.asarray(age / tau)), device)
            rows.append(
                RecallRow(
                    volt=float(voltage / volt),
                    tau_s=float(tau / second),
                    delay_s=float(delay / second),
                    age_s=float(np.mean(age) / second),
                    recalled=float(recalled.right[v, k].mean()),
                    expected=float(expected.mean()),
                    sequences=recalled.right.shape[2],
                )
            )
    return rows


def table(rows: list[RecallRow], recalled: Recalled) -> str:
    """The summary for a person."""
    delays = [float(d / second) for d in recalled.delay]
    lines = [
        f"{N_PAIRS} pairs a sequence, {rows[0].sequences} sequences a voltage; chance "
        f"{1 / N_DIGITS:.0%}",
        "",
        "   V_bias      tau   recalled after (s)"
        + "".join(f"{d:7.2f}" for d in delays)
        + "    bias (nJ)  pulses (nJ)  nJ a pair and second recalled",
    ]
    for v, voltage in enumerate(recalled.bias_voltage):
        mine = [r for r in rows if r.volt == float(voltage / volt)]
        bias, pulse = (1e9 * float(recalled.energy[t][v] / joule) for t in ("bias", "pulse"))
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


def run(options: argparse.Namespace) -> None:
    """Ask, draw, write, print."""
    device = Memristor.from_file(options.device)
    device.decay(options.voltages * volt)
    use_target(options.target)
    delay = np.geomspace(0.05, 5, 9) * second
    with tqdm(desc="recalling", total=len(delay), disable=None) as bar:
        recalled = recall(
            *(device, options.voltages * volt, delay),
            *(options.sequences, options.seed, options.gamma, bar.update),
        )
    rows = rows_of(recalled, device, options.gamma)
    figure = draw_association(rows, *recalled.trace, 1 / N_DIGITS)
    with replacing(options.out / "association.png") as partial:
        figure.savefig(partial, format="png")
    atomic_write(options.out / "association.csv", csv_text([asdict(r) for r in rows]).encode())
    if options.json is not None:
        energy = {t: np.asarray(e / joule).tolist() for t, e in recalled.energy.items()}
        write_json(options.json, {"rows": [asdict(r) for r in rows], "energy_j": energy})
    print(table(rows, recalled))
    print(f"\nfigure and table in {options.out}")
