"""How one Brian2 step grows: time and memory against synapses, time against activity.

    python tests/benchmarks/growth.py --json growth.json --figure growth.png

64 units throughout, Cython target, all energies on. Every presynaptic unit, fed back units
among them, is active independently of the others and of the step before with the probability
given. Each size is measured in a process of its own: arrays are the bytes of all variables,
resident memory is what building the network and stepping it added at its peak. Exponents are
slopes of straight lines through the logarithms, each over a range of its own: while the
arrays are in the processor's caches and beyond them, for instance.

A step visits the synapses of inputs that are active now or were in the last step. If a share p
is active, anew in every step, that is a share 1 - (1 - p)^2.
"""

import argparse
import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2.core.variables import ArrayVariable
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from mstpn.analysis.pictures.style import COLOUR, GREY, styled
from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import replacing

N_UNITS = 64
SIZES = [2**k for k in range(12, 22)]
GAME, ACTIVE = 169_984, 0.3
ACTIVITIES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]


@dataclass(frozen=True)
class Fit:
    """Power law of one column against another, over a range of that one."""

    of: str
    against: str
    low: float
    high: float

    def exponent(self, rows: list[dict[str, float]]) -> tuple[float, float]:
        """Exponent, and logarithm of the value at 1."""
        points = [(r[self.against], r[self.of]) for r in rows if self.covers(r[self.against])]
        x, y = np.log(points).T
        slope, level = np.polyfit(x, y, 1)
        return float(slope), float(level)

    def covers(self, value: float) -> bool:
        """Whether a point is in the range."""
        return self.low <= value <= self.high


OVER_SIZES = [
    Fit("step_ms", "synapses", 2**15, 2**18),
    Fit("step_ms", "synapses", 2**19, 2**21),
    Fit("array_bytes", "synapses", 2**15, 2**21),
    Fit("rss_bytes", "synapses", 2**17, 2**21),
]
OVER_ACTIVITY = [
    Fit("step_ms", "active_fraction", 0.05, 0.3),
    Fit("step_ms", "visited_fraction", 0.05, 1.0),
]


def parameters(n_synapses: int) -> LayerParameters:
    """Random layer of this size, or one input more where there would be no feature."""
    rng = np.random.default_rng(0)
    shape = (N_UNITS, max(n_synapses // N_UNITS, N_UNITS + 1))
    return LayerParameters(
        weight=rng.uniform(-0.5, 0.5, shape) / np.sqrt(shape[1]),
        decay=rng.uniform(0.08, 0.92, shape),
        gamma=rng.uniform(-1e-3, 1e-3, shape),
        bias=np.zeros(N_UNITS),
        normalisation="none",
    )


def array_bytes(network: MSTPNNetwork) -> int:
    """Bytes of all variables of the network."""
    groups = (network.presynaptic, network.neurons, network.synapses)
    arrays = {
        id(variable): variable.get_value().nbytes
        for group in groups
        for variable in group.variables.values()
        if isinstance(variable, ArrayVariable)
    }
    return sum(arrays.values())


def peak_rss() -> int:
    """Largest resident memory of this process so far, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(n_synapses: int, active: float, n_steps: int) -> dict[str, float]:
    """One network: median step, memory."""
    use_target("cython")
    p, rng = parameters(n_synapses), np.random.default_rng(1)
    before = peak_rss()
    network = MSTPNNetwork(p, Memristor.from_file(), STEP_DURATION)
    h, seconds = network.neurons.variables["h"].get_value(), np.empty(n_steps)
    for k in range(n_steps):
        x = rng.exponential(size=p.n_features) * (rng.random(p.n_features) < active)
        h *= rng.random(N_UNITS) < active
        started = time.perf_counter()
        network.step(x)
        seconds[k] = time.perf_counter() - started
    return {
        "synapses": p.weight.size,
        "active_fraction": active,
        "visited_fraction": 1 - (1 - active) ** 2,
        "step_ms": 1e3 * float(np.median(seconds[n_steps // 5 :])),
        "array_bytes": array_bytes(network),
        "rss_bytes": peak_rss() - before,
    }


def exponents(rows: list[dict[str, float]], fits: list[Fit]) -> list[dict[str, Any]]:
    """The fits and what they found."""
    return [asdict(fit) | {"exponent": fit.exponent(rows)[0]} for fit in fits]


def curve(
    axes: Axes, rows: list[dict[str, float]], fits: list[Fit], label: str, colour: str
) -> None:
    """Points of one quantity and the lines fitted through some of them."""
    of, against = fits[0].of, fits[0].against
    scale = 1e-6 if of.endswith("bytes") else 1.0
    slopes = [f"{fit.exponent(rows)[0]:.2f}" for fit in fits]
    axes.loglog(
        [r[against] for r in rows],
        [scale * r[of] for r in rows],
        "o",
        color=colour,
        markersize=4,
        label=f"{label}, exponent {' and '.join(slopes)}",
    )
    for fit in fits:
        slope, level = fit.exponent(rows)
        x = np.array([r[against] for r in rows if fit.covers(r[against])])
        axes.loglog(x, scale * np.exp(level) * x**slope, color=colour, linewidth=1)


@styled
def draw(synapses: list[dict[str, float]], activity: list[dict[str, float]]) -> Figure:
    """Three panels: time and memory against synapses, time against activity."""
    figure = Figure(figsize=(10.5, 3.4))
    left, middle, right = figure.subplots(1, 3)
    step_fits, arrays_fit, rss_fit = OVER_SIZES[:2], OVER_SIZES[2:3], OVER_SIZES[3:]
    curve(left, synapses, step_fits, "step", COLOUR["bias"])
    curve(middle, synapses, rss_fit, "resident", COLOUR["pulse"])
    curve(middle, synapses, arrays_fit, "arrays", COLOUR["read"])
    curve(right, activity, OVER_ACTIVITY[:1], "of active inputs", COLOUR["pulse"])
    curve(right, activity, OVER_ACTIVITY[1:], "of visited synapses", COLOUR["bias"])
    for axes in (left, middle):
        axes.axvline(GAME, color=GREY, linewidth=0.7, linestyle=":")
        axes.set_xlabel(f"synapses (dotted: {GAME:,})")
    left.set(ylabel="time per step (ms)", title=f"{100 * ACTIVE:.0f} % of inputs active")
    middle.set(ylabel="memory of the network (MB)", title="one network")
    right.set(ylabel="time per step (ms)", xlabel="share", title=f"{GAME:,} synapses")
    right.set_ylim(0.01, 2)
    for axes in (left, middle, right):
        axes.legend(loc="upper left", handletextpad=0.2, borderaxespad=0)
        axes.margins(y=0.2)
    return figure


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description="Growth of one Brian2 step.")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json", type=Path, metavar="PATH")
    parser.add_argument("--figure", type=Path, metavar="PNG")
    options = parser.parse_args()
    cells = [(n, ACTIVE) for n in SIZES] + [(GAME, active) for active in ACTIVITIES]
    context, rows = multiprocessing.get_context("spawn"), []
    for n, active in tqdm(cells, unit="network", disable=None):
        with ProcessPoolExecutor(1, context) as alone:
            rows.append(alone.submit(measure, n, active, options.steps).result())
    synapses, activity = rows[: len(SIZES)], rows[len(SIZES) :]
    found = exponents(synapses, OVER_SIZES) + exponents(activity, OVER_ACTIVITY)
    print(f"{'synapses':>9}  {'active':>6}  {'step (ms)':>9}  {'arrays (MB)':>11}  {'RSS (MB)':>8}")
    for r in rows:
        print(
            f"{r['synapses']:9,.0f}  {r['active_fraction']:6.2f}  {r['step_ms']:9.3f}"
            f"  {r['array_bytes'] / 1e6:11.1f}  {r['rss_bytes'] / 1e6:8.1f}"
        )
    for fit in found:
        between = f"{fit['low']:,} to {fit['high']:,}"
        print(f"{fit['of']} against {fit['against']}, {between}: exponent {fit['exponent']:.2f}")
    if options.json is not None:
        content = {"synapses": synapses, "activity": activity, "exponents": found}
        options.json.write_text(json.dumps(content, indent=1))
    if options.figure is not None:
        with replacing(options.figure) as partial:
            draw(synapses, activity).savefig(partial)


if __name__ == "__main__":
    main()
