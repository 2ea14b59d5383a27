"""The checkpoints that come with the package."""

from pathlib import Path

__all__ = ["DEFAULT_CHECKPOINT", "FRUGAL_CHECKPOINT", "STICKY_CHECKPOINT"]

DEFAULT_CHECKPOINT = Path(__file__).with_name("pong.safetensors")
"""Pong, trained under the device's limits; `pong.json` beside it says how."""

STICKY_CHECKPOINT = Path(__file__).with_name("pong_sticky.safetensors")
"""Pong with sticky actions, under which it keeps winning."""

FRUGAL_CHECKPOINT = Path(__file__).with_name("pong_frugal.safetensors")
"""Pong with sticky actions, every Lambda near 0.1, where the device needs hardly a bias."""
