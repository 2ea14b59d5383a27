"""A memristor on the bench: the measurements of Figs. 2 and 3, simulated in Brian2.

    mstpn bench --out bench

Draws Figs. 2a and 2c to 3e of Weilenmann et al., Nature Communications 15 (2024), from
simulated devices under the protocol of each, and writes them with one page. A device file of
yours replaces the paper's with --device FILE.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from mstpn.analysis.device.bench_report import N_MEASUREMENTS, BenchReport, measure
from mstpn.synapses.memristor import DEFAULT_DEVICE, Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.command_line import Parser, exit_status, integer
from mstpn.synapses.support.files import atomic_write, replacing, write_json


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(
        prog="mstpn bench", description="The measurements of Figs. 2 and 3 on simulated devices."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--seed", type=integer(0), default=0, help="of the pulses' spread")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the numbers for a program")
    return parser.parse_args(arguments)


def write(report: BenchReport, folder: Path, json_path: Path | None) -> None:
    """Figures, page, numbers."""
    for name, figure in tqdm(report.figures().items(), desc="drawing", disable=None):
        with replacing(folder / f"{name}.png") as partial:
            figure.savefig(partial)
    page = report.markdown()
    atomic_write(folder / "bench.md", page.encode())
    if json_path is not None:
        write_json(json_path, report.numbers())
    print(report.summary())
    print(f"{folder / 'bench.md'} and its figures beside it")


def main(arguments: list[str] | None = None) -> int:
    """Measure, draw, write; return the exit status."""
    options = parse_arguments(arguments)

    def work() -> None:
        device = Memristor.from_file(options.device)
        use_target("numpy")  # a few devices are not worth a compiler's time
        with tqdm(desc="measuring", total=N_MEASUREMENTS, disable=None) as bar:
            report = measure(device, seed=options.seed, progress=bar.update)
        write(report, options.out, options.json)

    return exit_status("mstpn bench", work)
