"""Learning to learn, small: tie digits to letters within one sequence, on memristors.

    mstpn retrieval --pairs 8 --seed 0 --out runs/retrieval

trains two networks on `c9k8j3??k` (answer: 8), one with the device's range of Lambda and
one with Lambda = 0, whose short-term weights last one step; answers test sequences with
both on Brian2 networks, compares every answer with the torch twins', and counts the joules
of an answer. Networks that the folder holds already, trained by the same options, are used
as they are: `--out examples/retrieval` runs the trained ones that come with this file.
Ctrl-C ends a training and goes on with the best so far.

Needs `pip install -e '.[analysis]'`. Task: Ba et al. (2016), Rodriguez et al. (2022).
"""

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from mstpn.network.retrieval.task import RetrievalOptions
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, exit_status, finite, integer, kind

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn retrieval"
N_TWIN_TEST = 2000
"""Test sequences of the torch twin; the Brian2 network answers the first of them."""


def parse_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, RetrievalOptions]:
    """Command line, and the part of it that trains."""
    parser = Parser(
        prog=PROGRAM,
        description="Associative retrieval on a Brian2 network of memristors.",
    )
    trains = [f for f in fields(RetrievalOptions) if f.name not in ("decay_min", "decay_max")]
    for f in trains:
        name, text = "--" + f.name.replace("_", "-"), f.metadata["help"]
        if f.type is bool:
            parser.add_argument(name, action="store_true", help=text)
        else:
            parser.add_argument(
                name, type=kind(f.default), default=f.default, help=f"{text} ({f.default})"
            )
    parser.add_argument("--out", type=Path, default=Path("runs/retrieval"), metavar="FOLDER")
    parser.add_argument("--tests", type=integer(1), default=200, help="sequences on Brian2 (200)")
    parser.add_argument("--step-seconds", type=finite, default=1 / 15, help="of one symbol (1/15)")
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    if not 1 <= options.tests <= N_TWIN_TEST:
        parser.error(f"tests must be in [1, {N_TWIN_TEST}], got {options.tests}")
    if not 0 < options.step_seconds < float("inf"):
        parser.error(f"step-seconds must be positive, got {options.step_seconds}")
    try:
        return options, RetrievalOptions(**{f.name: getattr(options, f.name) for f in trains})
    except ValueError as error:
        parser.error(str(error))


def main(arguments: list[str] | None = None) -> int:
    """Run, print, write; return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    options, training = parse_arguments(words)
    command = shlex.join(["python", "examples/associative_retrieval.py", *words])
    return exit_status(PROGRAM, lambda: _work(options, training, command))


def _work(options: argparse.Namespace, training: RetrievalOptions, command: str) -> None:
    from mstpn.commands.work.retrieval import run

    run(options, training, command)
