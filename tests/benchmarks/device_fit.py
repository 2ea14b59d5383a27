"""How often the intervals of a device's fit hold the true constants, under three kinds of scatter.

    PYTHONPATH=tests python tests/benchmarks/device_fit.py --json device_fit.json

Measurements are made from the laws as the device file's comments write them, with nothing of the
package, and read back from text: additive noise; noise of 5 % of each reading; six devices whose
sizes spread by 30 %, with additive noise. `--pooled` leaves the column of devices out, and
`--unweighted` the weights, so that what they do can be seen.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from measured_device import STEP, TRUE, fitted, grid

from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.files import write_json

Array = NDArray[np.float64]
SIZES = ("dG", "E", "G", "P")
Columns = dict[str, Array]
Scatter = Callable[[Array, float], Array]


def device(noisy: Scatter, size: Mapping[str, float], half: float = 0.27) -> dict[str, Columns]:
    """The three tables of one device, with its sizes relative to the true ones."""
    v, w, _ = grid([2.2, 2.8, 3.4, 4.0], [50, 100, 200], range(2))
    b, s, _ = grid([0.1, 0.2, 0.3, 0.4, 0.5], np.geomspace(0.01, 2, 15), range(2))
    left = (1 + np.exp(-(b - half) / 0.1)) ** (-s / STEP)
    u, weight = grid([0.3, 0.4, 0.5], np.linspace(-0.5, 1.5, 7))
    return {
        "pulses": {
            "voltage (V)": v,
            "width (us)": w,
            "dG (nS)": noisy(size["dG"] * 1.4 * (v / 4) ** 3.3 * w / 100, 0.05),
            "energy (pJ)": noisy(size["E"] * 25 * (v / 4) ** 2.2 * w / 100, 0.5),
        },
        "decay": {
            "bias voltage (V)": b,
            "time (s)": s,
            "conductance (nS)": noisy(size["G"] * (2 + 4 * b + 10 * left), 0.15),
        },
        "power": {
            "bias voltage (V)": u,
            "weight S": weight,
            "power (nW)": noisy(u**2 * size["P"] * (15 + 8 * weight), 0.05),
        },
    }


def additive(rng: np.random.Generator) -> dict[str, Columns]:
    """The same scatter of every reading of a column."""
    return device(lambda x, sd: x + rng.normal(0, sd, x.shape), dict.fromkeys(SIZES, 1))


def relative(rng: np.random.Generator) -> dict[str, Columns]:
    """5 % of every reading."""
    return device(lambda x, _: x * (1 + rng.normal(0, 0.05, x.shape)), dict.fromkeys(SIZES, 1))


def six_devices(rng: np.random.Generator) -> dict[str, Columns]:
    """Sizes that spread by 30 % from device to device, V_half by 10 mV, and additive noise."""
    several = []
    for k in range(6):
        size = dict(zip(SIZES, np.maximum(rng.normal(1, 0.3, 4), 0.1), strict=True))
        made = device(
            lambda x, sd: x + rng.normal(0, sd, x.shape), size, float(rng.normal(0.27, 0.01))
        )
        for table in made.values():
            table["device"] = np.full(len(next(iter(table.values()))), float(k))
        several.append(made)
    return {
        name: {c: np.concatenate([one[name][c] for one in several]) for c in several[0][name]}
        for name in several[0]
    }


CASES = {"additive": additive, "relative": relative, "six devices": six_devices}


def covered(folder: Path, tables: Mapping[str, Columns]) -> dict[str, bool]:
    """Whether each interval holds the true constant."""
    found = fitted(folder, tables).found
    hits = {}
    for name in TRUE.keys() & found.keys():
        if (interval := found[name].interval) is not None:
            hits[name] = float(interval[0]) <= TRUE[name] <= float(interval[1])
    return hits


def coverage(case: str, repeats: int, seed: int, *, pooled: bool = False) -> dict[str, float]:
    """Share of repeats whose interval holds the true constant, by constant."""
    hits = dict.fromkeys(TRUE, 0)
    with tempfile.TemporaryDirectory() as folder:
        for k in tqdm(range(repeats), desc=case, disable=not sys.stderr.isatty()):
            tables = CASES[case](np.random.default_rng([seed, k]))
            if pooled:
                for columns in tables.values():
                    columns.pop("device", None)
            for name, hit in covered(Path(folder), tables).items():
                hits[name] += hit
    return {name: n / repeats for name, n in hits.items()}


def main() -> int:
    """Measure and print."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=integer(1), default=1000, metavar="N")
    parser.add_argument("--seed", type=integer(0), default=0, metavar="N")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--pooled", action="store_true", help="no column of devices")
    parser.add_argument("--unweighted", action="store_true", help="every row weighs the same")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()

    def work() -> None:
        unweighted = patch("mstpn.analysis.device.forms.growing_errors", return_value=None)
        with unweighted if options.unweighted else nullcontext():
            found = {
                case: coverage(case, options.repeats, options.seed, pooled=options.pooled)
                for case in options.case or CASES
            }
        for case, shares in found.items():
            worst = min(shares, key=lambda name: shares[name])
            print(f"{case}: {shares[worst]:.1%} ({worst}) to {max(shares.values()):.1%}")
        if options.json is not None:
            write_json(options.json, {"repeats": options.repeats, "covered": found})

    return exit_status("device_fit", work)


if __name__ == "__main__":
    sys.exit(main())
