"""Options that several programs have alike."""

from collections.abc import Callable
from pathlib import Path

from mstpn.bridge.checkpoints import add_checkpoint_option
from mstpn.bridge.runner import add_runner_options
from mstpn.synapses.device_file import DEFAULT_DEVICE
from mstpn.synapses.support.command_line import Parser, probability, writable

__all__ = ["add_game_options", "add_table_options"]


def add_game_options(parser: Parser, *, sticky: float = 0.0) -> None:
    """What makes a game harder: `sticky` and its default, `flicker`."""
    parser.add_argument(
        "--sticky",
        type=probability,
        default=sticky,
        metavar="P",
        help=f"probability that the emulator repeats the last action ({sticky:g})",
    )
    parser.add_argument(
        "--flicker",
        type=probability,
        default=0.0,
        metavar="P",
        help="probability that a frame is blanked (0)",
    )


def add_table_options(parser: Parser, out: str, path: Callable[[str], Path] = writable) -> None:
    """Whose games a table has, where they are played, and where table, figure and summary go.

    `path` is the argument type of the three; with `Path` folders are made when they are written.
    """
    add_checkpoint_option(parser)
    parser.add_argument("--device", type=Path, default=DEFAULT_DEVICE, metavar="FILE")
    parser.add_argument("--target", choices=("auto", "cython", "numpy"), default="auto")
    add_runner_options(parser)
    parser.add_argument("--out", type=path, default=Path(out), metavar="CSV")
    parser.add_argument("--figure", type=path, metavar="PNG", help="beside the table if absent")
    parser.add_argument("--json", type=path, metavar="PATH")
