"""The checkpoints that come with the package; the .json beside each says how it was trained."""

import argparse
from pathlib import Path

__all__ = ["DEFAULT_CHECKPOINT", "MEMORY_CHECKPOINT", "SHIPPED", "add_checkpoint_option"]

DEFAULT_CHECKPOINT = Path(__file__).with_name("pong.safetensors")
"""Pong with sticky actions, within the device's limits, on two bias lines."""
MEMORY_CHECKPOINT = Path(__file__).with_name("pong_memory.safetensors")
"""Flickering Pong, where F is the agent's only memory: h is not fed back."""


SHIPPED = {path.stem: path for path in (DEFAULT_CHECKPOINT, MEMORY_CHECKPOINT)}
"""By name."""


def add_checkpoint_option(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Give a program the option `--checkpoint`: a shipped agent by its name, or a file.

    Parameters
    ----------
    parser : ArgumentParser
    several : bool
        It may be repeated, and gives a list, empty if it is absent.
    """
    options = {"action": "append", "default": []} if several else {"default": DEFAULT_CHECKPOINT}
    names = " or ".join(SHIPPED)
    repeated = "; repeat it to choose among more on the page" if several else ""
    parser.add_argument(
        "--checkpoint",
        type=lambda text: SHIPPED.get(text, Path(text)),
        metavar="AGENT",
        help=f"one that comes along, {names}, or a .safetensors file (pong){repeated}",
        **options,
    )
