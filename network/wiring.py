"""Bias lines: which synapses of a layer share one voltage, and so one Lambda.

A crossbar holds a voltage along a row or a column, not at each crossing. `synapse` is the
paper's form, one voltage per synapse; the others can be wired.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["BIAS_LINES", "check_bias_lines", "line_values", "lines_of", "per_synapse"]

_SHAPES: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "synapse": lambda n, m, _: (n, m),
    "neuron": lambda n, _m, _: (n, 1),
    "input": lambda _n, m, _: (1, m),
    "block": lambda n, m, n_in: (1, 2 if m > n_in else 1),
    "array": lambda _n, _m, _: (1, 1),
}
BIAS_LINES = tuple(_SHAPES)
"""One voltage per synapse; per postsynaptic unit; per presynaptic unit; one for the synapses
of the features and one for the recurrent ones; one for all."""


def check_bias_lines(name: str) -> None:
    """Raise ValueError if there is no such wiring."""
    if name not in BIAS_LINES:
        raise ValueError(f"bias_lines must be one of {', '.join(BIAS_LINES)}, got {name!r}")


def lines_of(name: str, n_out: int, n_pre: int, n_in: int) -> tuple[int, int]:
    """Shape of the values of all lines of a layer of (n_out, n_pre) synapses.

    Parameters
    ----------
    name : str
        One of `BIAS_LINES`.
    n_out, n_pre : int
        Postsynaptic and presynaptic units.
    n_in : int
        Presynaptic units that are features; the others are recurrent.
    """
    check_bias_lines(name)
    return _SHAPES[name](n_out, n_pre, n_in)


def per_synapse(name: str, values: Tensor, shape: Sequence[int], n_in: int) -> Tensor:
    """The lines' values at every synapse, of the shape (n_out, n_pre)."""
    n_out, n_pre = shape
    if name == "block":
        counts = torch.tensor([n_in, n_pre - n_in][: values.shape[1]], device=values.device)
        values = values.repeat_interleave(counts, dim=1)
    return values.expand(n_out, n_pre)


def line_values(name: str, synapses: Any, n_in: int) -> Any:
    """Mean over the synapses of each line, as `per_synapse` takes it.

    Parameters
    ----------
    name : str
    synapses : ndarray or Tensor, (n_out, n_pre)
    n_in : int
    """
    if name == "synapse":
        return synapses
    # in float64, where the mean of equal float32 values is that value
    is_tensor = isinstance(synapses, Tensor)
    synapses = synapses.double() if is_tensor else synapses.astype(np.float64)
    if name == "neuron":
        return synapses.mean(1)[:, None]
    if name == "input":
        return synapses.mean(0)[None]
    starts = (0, n_in) if name == "block" and synapses.shape[1] > n_in else (0,)
    ends = (*starts[1:], synapses.shape[1])
    parts = [synapses[:, low:high].mean() for low, high in zip(starts, ends, strict=True)]
    return (torch.stack(parts) if is_tensor else np.array(parts))[None]
