"""Greedy games of agents on their torch twins, many at once, in float32.

    mstpn evaluate runs/pong/best.safetensors --games 32

Needs `pip install 'mstpn[train]'`. A quick score for choosing among checkpoints. The games that
count are those of the Brian2 network, `mstpn pong`.
"""

import argparse
from pathlib import Path

from mstpn.synapses.support.command_line import Parser, exit_status, integer, probability

__all__ = ["main", "parse_arguments"]

PROGRAM = "mstpn evaluate"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(prog=PROGRAM, description="Greedy games of agents on the torch twin.")
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--games", type=integer(1), default=32, metavar="N", help="at once (32)")
    parser.add_argument("--seed", type=integer(0), default=0, help="of the games (0)")
    parser.add_argument(
        "--sticky", type=probability, default=0.0, metavar="P", help="of a repeated action (0)"
    )
    parser.add_argument(
        "--flicker", type=probability, default=0.0, metavar="P", help="of a blanked frame (0)"
    )
    parser.add_argument(
        "--max-decisions", type=integer(1), default=5000, metavar="N", help="of a game (5000)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Play and print; return the exit status."""
    options = parse_arguments(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: argparse.Namespace) -> None:
    from mstpn.bridge.training.evaluate import evaluate
    from mstpn.network.twin.checkpoint import load_checkpoint

    for path in options.checkpoints:
        returns = evaluate(
            load_checkpoint(path).twin(),
            options.games,
            options.seed,
            sticky=options.sticky,
            flicker=options.flicker,
            max_decisions=options.max_decisions,
        )
        won = sum(returns > 0)
        print(
            f"{path}: mean {returns.mean():+.2f}, worst {returns.min():+.0f}, best "
            f"{returns.max():+.0f}, won {won / len(returns):.0%} of {len(returns)}",
            flush=True,
        )
