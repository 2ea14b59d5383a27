"""Energy and time of every synaptic operation on a CUDA GPU, as a baseline for the report.

    mstpn gpu-energy --out gpu.json
    mstpn report --measured-gpu gpu.json

Each operation of the m-STPN layer runs as a kernel of its own (`unfused`, as an eager
framework does it) and the whole step compiled into as few kernels as torch can (`fused`),
in fp16 and fp32, at 2^12 to 2^24 synapses and at the network's own 169,984. Time is the
median of 100 runs between CUDA events. Energy is the board's own counter (NVML), read
around as many runs as fill a second, since it advances only every 20 to 100 ms.
"""

import argparse
from pathlib import Path

from mstpn.synapses.support.command_line import Parser, exit_status

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn gpu-energy"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Energy of the synaptic operations on a CUDA GPU.")
    parser.add_argument("--out", type=Path, default=Path("gpu_energy.json"), metavar="FILE")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.commands.work.gpu_energy import run

    run(options)
