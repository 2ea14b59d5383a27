"""Train the m-STPN agent on Pong by reinforcement learning.

    mstpn train --seed 1 --out runs/pong

Needs `pip install 'mstpn[train]'`. The options are those of `mstpn.bridge.training.options`; what
is done is told in `mstpn.bridge.training.train`.
"""

from pathlib import Path

from mstpn.bridge.training.options import Options, parse_options
from mstpn.synapses.support.command_line import exit_status

__all__ = ["main", "parse_options"]

PROGRAM = "mstpn train"


def main(arguments: list[str] | None = None) -> int:
    """Train, print, write; return the exit status."""
    options, _ = parse_options(arguments)
    return exit_status(PROGRAM, lambda: _work(options))


def _work(options: Options) -> None:
    from mstpn.bridge.training.train import Trainer
    from mstpn.synapses.support.files import write_json

    trainer = Trainer(options)
    trainer.run()
    summary = trainer.summary()
    if options.json:
        write_json(Path(options.json), summary)
    moved = ", ".join(
        f"{symbol} {summary[f'{name}_moved']:.2g}"
        for symbol, name in (("W", "weight"), ("Lambda", "decay"), ("Gamma", "gamma"))
    )
    returned = "no game has ended"
    if trainer.returns:
        returned = f"{len(trainer.returns)} last games: mean return {trainer.mean_return():+.2f}"
    print(
        f"{'finished' if summary['finished'] else 'stopped'} after {summary['steps']:,} steps and "
        f"{summary['seconds'] / 60:.1f} min, {returned}; moved (rms): {moved}; "
        f"weights in {summary['folder']}"
    )
