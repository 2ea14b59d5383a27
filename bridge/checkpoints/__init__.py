"""The checkpoints that come with the package."""

from pathlib import Path

__all__ = ["DEFAULT_CHECKPOINT", "STICKY_CHECKPOINT"]

DEFAULT_CHECKPOINT = Path(__file__).with_name("pong.safetensors")
"""Pong, trained under the device's limits; `pong.json` beside it says how."""

STICKY_CHECKPOINT = Path(__file__).with_name("pong_sticky.safetensors")
"""Pong with sticky actions, every Lambda near 0.1: weaker, but it keeps winning under them."""
