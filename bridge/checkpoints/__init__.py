"""The checkpoints that come with the package."""

from pathlib import Path

__all__ = ["DEFAULT_CHECKPOINT"]

DEFAULT_CHECKPOINT = Path(__file__).with_name("pong.safetensors")
"""Pong with sticky actions, within the device's limits, on two bias lines; `pong.json` beside it
says how it was trained."""
