"""Spiking ST-Hebb synapses against Brian2's own STDP synapses, and against their number.

    python tests/benchmarks/spiking.py --json spiking.json

Both between Poisson inputs of one rate and Poisson outputs of another, on the same clock, in turn
in one process; medians of several runs. Brian2's are those of its STDP example (Song, Miller and
Abbott 2000). Growth is with 15,000 input spikes a second whatever the number of inputs, so that the
synapses that are visited stay and the rest grow.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    Hz,
    Network,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    second,
    seed,
    volt,
)

from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import get_spiking_synapses
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.files import write_json

STDP = """
    w : 1
    dApre/dt = -Apre/tau : 1 (event-driven)
    dApost/dt = -Apost/tau : 1 (event-driven)
"""
ON_PRE = """
    ge_post += w
    Apre += dApre
    w = clip(w + Apost, 0, gmax)
"""
ON_POST = """
    Apost += dApost
    w = clip(w + Apre, 0, gmax)
"""
CONSTANTS = {"tau": 20 * ms, "dApre": 1e-4, "dApost": -1.05e-4, "gmax": 0.01}


def brians(inputs: Any, outputs: Any) -> Any:
    """The example's synapses; what a spike adds to goes nowhere here."""
    model = STDP + "    ge : 1\n"
    code = ON_PRE.replace("ge_post", "ge")
    synapses = Synapses(
        *(inputs, outputs, model), on_pre=code, on_post=ON_POST, namespace=CONSTANTS, name="stdp*"
    )
    synapses.connect()
    synapses.w = "rand()*gmax"
    return synapses


def ours(inputs: Any, outputs: Any) -> Any:
    """All energies and the device's limits included."""
    device = Memristor.from_file()
    synapses = get_spiking_synapses(inputs, outputs, device, limits=device.write_limits())
    synapses.Gamma, synapses.V_bias = 0.02, 0.5 * volt
    return synapses


def seconds(make: Any, inputs: Any, outputs: Any, duration: float, repeats: int) -> float:
    """Median wall time of a run."""
    net = Network(inputs, outputs, make(inputs, outputs))
    net.run(0.1 * second, namespace={})
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        net.run(duration * second, namespace={})
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def poisson(n: int, rate: float) -> PoissonGroup:
    """Units that spike at random."""
    return PoissonGroup(n, rate * Hz, name="poisson*")


def thinly(n: int, duration: float) -> SpikeGeneratorGroup:
    """15,000 spikes a second in all, one to three in a time step, spread over the units."""
    rng = np.random.default_rng(0)
    steps = np.sort(rng.integers(0, round(duration / 1e-4), round(15_000 * duration)))
    units = (np.arange(len(steps)) * 7919) % n  # no unit twice in a step
    return SpikeGeneratorGroup(n, units, steps * 0.1 * ms, name="thin*")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both kinds at each size, then ours against the number of synapses."""
    pairs = []
    for n_in, n_out in ((1000, 1), (1000, 10), (1000, 100)):
        row: dict[str, float] = {"inputs": n_in, "outputs": n_out}
        for name, make in (("brian2_s", brians), ("mstpn_s", ours)):
            sides = poisson(n_in, 15.0), poisson(n_out, 10.0)
            row[name] = seconds(make, *sides, options.seconds, options.repeats)
        row["ratio"] = row["mstpn_s"] / row["brian2_s"]
        print(
            f"{n_in:6d} x {n_out:<4d} Brian2's STDP {row['brian2_s']:.3f} s, ours "
            f"{row['mstpn_s']:.3f} s, ratio {row['ratio']:.2f}",
            flush=True,
        )
        pairs.append(row)
    growth = []
    for n_in in (1000, 10_000, 100_000):
        whole = 0.1 + options.seconds * options.repeats
        sides = thinly(n_in, whole), poisson(10, 0.0)
        wall = seconds(ours, *sides, options.seconds, options.repeats)
        growth.append({"synapses": 10 * n_in, "mstpn_s": wall})
        print(f"{10 * n_in:9,d} synapses, 15,000 input spikes a second: {wall:.3f} s", flush=True)
    return {"pairs": pairs, "growth": growth, "simulated_s": options.seconds}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    parser = Parser(prog="spiking.py", description="Speed of spiking synapses.")
    parser.add_argument("--seconds", type=integer(1), default=2, help="simulated, of each run (2)")
    parser.add_argument("--repeats", type=integer(1), default=5, help="runs of each (5)")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)

    def work() -> None:
        use_target("cython")
        seed(0)
        defaultclock.dt = 0.1 * ms
        found = measure(options)
        if options.json is not None:
            write_json(options.json, found)

    return exit_status("spiking.py", work)


if __name__ == "__main__":
    sys.exit(main())
