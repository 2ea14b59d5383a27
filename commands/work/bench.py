"""Measurements of simulated devices, drawn and written."""

import argparse

from brian2.units import psiemens
from tqdm import tqdm

from mstpn.analysis.device.bench_overlay import read_measured
from mstpn.analysis.device.bench_report import N_MEASUREMENTS, BenchReport, measure
from mstpn.analysis.device.measurements import Measurements
from mstpn.synapses.bench.assumed import DELTA_F_STD
from mstpn.synapses.bench.specimen import Specimen
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.support.brian_target import use_target
from mstpn.synapses.support.files import atomic_write, replacing, write_json


def specimen(options: argparse.Namespace, device: Memristor) -> Specimen:
    """The device that is measured, as the options have it."""
    given = options.nonideal
    if not any(text.startswith("delta_f_std=") for text in given):
        given = [f"delta_f_std={DELTA_F_STD}", *given]
    kinds = Nonidealities.parse(given)
    noise = options.read_noise * psiemens
    return Specimen.of(kinds, device, read_noise=noise, seed=options.seed)


def write(
    report: BenchReport, measured: dict[str, list[Measurements]], options: argparse.Namespace
) -> None:
    """Figures, traces, page, numbers."""
    folder = options.out
    figures = report.figures(measured)
    for name, figure in tqdm(figures.items(), desc="drawing", disable=None):
        with replacing(folder / f"{name}.png") as partial:
            figure.savefig(partial)
    for name, text in report.traces().items():
        atomic_write(folder / "traces" / f"{name}.csv", text.encode())
    page = report.markdown()
    atomic_write(folder / "bench.md", page.encode())
    if options.json is not None:
        write_json(options.json, report.numbers())
    print(report.summary())
    print(f"{folder / 'bench.md'}, its figures beside it, traces in {folder / 'traces'}")


def run(options: argparse.Namespace) -> None:
    """Measure, draw, write."""
    device = Memristor.from_file(options.device)
    chosen, measured = specimen(options, device), read_measured(options.measured)
    use_target("numpy")  # a few devices are not worth a compiler's time
    with tqdm(desc="measuring", total=N_MEASUREMENTS, disable=None) as bar:
        report = measure(device, specimen=chosen, progress=bar.update)
    write(report, measured, options)
