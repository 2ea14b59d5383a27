"""Measurements of simulated devices, drawn and written."""

import argparse
from pathlib import Path

from tqdm import tqdm

from mstpn.analysis.device.bench_report import N_MEASUREMENTS, BenchReport, measure
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json


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


def run(options: argparse.Namespace) -> None:
    """Measure, draw, write."""
    device = Memristor.from_file(options.device)
    use_target("numpy")  # a few devices are not worth a compiler's time
    with tqdm(desc="measuring", total=N_MEASUREMENTS, disable=None) as bar:
        report = measure(device, seed=options.seed, progress=bar.update)
    write(report, options.out, options.json)
