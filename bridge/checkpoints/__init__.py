"""The checkpoints that come with the package; the .json beside each says how it was trained."""

import argparse
from pathlib import Path

__all__ = ["DEFAULT_CHECKPOINT", "MEMORY_CHECKPOINT", "add_checkpoint_option"]

DEFAULT_CHECKPOINT = Path(__file__).with_name("pong.safetensors")
"""Pong with sticky actions, within the device's limits, on two bias lines."""
MEMORY_CHECKPOINT = Path(__file__).with_name("pong_memory.safetensors")
"""Flickering Pong, where F is the agent's only memory: h is not fed back."""


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Give a program the option `--checkpoint`: a shipped agent by its name, or a file."""
    shipped = {path.stem: path for path in (DEFAULT_CHECKPOINT, MEMORY_CHECKPOINT)}
    parser.add_argument(
        "--checkpoint",
        type=lambda text: shipped.get(text, Path(text)),
        default=DEFAULT_CHECKPOINT,
        metavar="AGENT",
        help=f"one that comes along, {' or '.join(shipped)}, or a .safetensors file (pong)",
    )
