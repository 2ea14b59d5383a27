"""The same work on GPUs: baselines, ratios, and where memristors and GPUs break even."""

from pathlib import Path

__all__ = ["MEASURED"]

MEASURED = {"h100": Path(__file__).with_name("h100.json")}
"""GPUs that were measured for this package, by name: a file of `mstpn gpu-energy`."""
