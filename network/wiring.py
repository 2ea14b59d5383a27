"""Bias lines: which synapses of a layer share one voltage, and so one Lambda.

A crossbar holds a voltage along a row or a column, not at each crossing. `synapse` is the
paper's form, one voltage per synapse; the others can be wired.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BIAS_LINES",
    "check_bias_lines",
    "check_one_decay_per_line",
    "line_values",
    "lines_of",
    "n_features_of",
    "per_row_and_column",
    "per_synapse",
]

BIAS_LINES = ("synapse", "neuron", "input", "block", "array")
"""One voltage per synapse; per postsynaptic unit; per presynaptic unit; one for the synapses
of the features and one for the recurrent ones; one for all."""


def check_bias_lines(name: str) -> None:
    """Raise ValueError if there is no such wiring."""
    if name not in BIAS_LINES:
        raise ValueError(f"bias_lines must be one of {', '.join(BIAS_LINES)}, got {name!r}")


def lines_of(name: str, shape: Sequence[int], n_in: int) -> tuple[int, int]:
    """Shape of the values of all lines of a layer.

    Parameters
    ----------
    name : str
        One of `BIAS_LINES`.
    shape : (int, int)
        Postsynaptic and presynaptic units.
    n_in : int
        Presynaptic units that are features; the others are recurrent.
    """
    check_bias_lines(name)
    n_out, n_pre = shape
    return {
        "synapse": (n_out, n_pre),
        "neuron": (n_out, 1),
        "input": (1, n_pre),
        "block": (1, len(_blocks(n_pre, n_in))),
        "array": (1, 1),
    }[name]


def n_features_of(shape: Sequence[int], feedback: bool) -> int:
    """Presynaptic units of a layer of (N, M) synapses that are not its own."""
    n_out, n_pre = shape
    return int(n_pre - n_out * feedback)


def per_synapse(name: str, values: Any, shape: Sequence[int], n_in: int) -> Any:
    """The lines' values at every synapse.

    Parameters
    ----------
    name : str
    values : ndarray or Tensor
        As `lines_of` shapes them.
    shape, n_in
        As for `lines_of`.
    """
    values = per_row_and_column(name, values, shape, n_in)
    if isinstance(values, np.ndarray):
        return np.broadcast_to(values, tuple(shape))
    return values.expand(*shape)


def per_row_and_column(name: str, values: Any, shape: Sequence[int], n_in: int) -> Any:
    """The lines' values, each once as far as they are the same along a whole row or column.

    Parameters
    ----------
    name, values, shape, n_in
        As for `per_synapse`.

    Returns
    -------
    ndarray or Tensor
        It broadcasts to `shape`.
    """
    if name != "block":
        return values
    blocks = _blocks(shape[1], n_in)
    return values[:, np.repeat(np.arange(len(blocks)), [b.stop - b.start for b in blocks])]


def line_values(name: str, synapses: NDArray[Any], n_in: int) -> NDArray[Any]:
    """Mean over the synapses of each line, as `lines_of` shapes it.

    Parameters
    ----------
    name : str
    synapses : ndarray, (n_out, n_pre)
    n_in : int
    """
    if name == "synapse":
        return synapses
    exact = synapses.astype(np.float64)  # where the mean of equal float32 values is that value
    if name == "neuron":
        return exact.mean(1, keepdims=True)
    if name == "input":
        return exact.mean(0, keepdims=True)
    blocks = _blocks(synapses.shape[1], n_in if name == "block" else 0)
    return np.array([[exact[:, b].mean() for b in blocks]])


def check_one_decay_per_line(
    name: str, decay: NDArray[np.floating[Any]], n_in: int, rounding: float
) -> None:
    """Raise ValueError if synapses on one line need different voltages."""
    first = {
        "synapse": decay,
        "neuron": decay[:, :1],
        "input": decay[:1],
        "block": decay[:1, [b.start for b in _blocks(decay.shape[1], n_in)]],
        "array": decay[:1, :1],
    }[name]
    wanted = per_synapse(name, first, decay.shape, n_in)
    apart = np.abs(decay - wanted) > rounding
    if apart.any():
        row, column = (int(k) for k in np.argwhere(apart)[0])
        raise ValueError(
            f"decay[{row}, {column}] = {decay[row, column]:.6g} must be that of its bias line, "
            f"{wanted[row, column]:.6g}, with the bias lines {name!r}"
        )


def _blocks(n_pre: int, n_in: int) -> list[slice]:
    """Columns of features and of recurrent synapses, if there are any."""
    ends = [n for n in (n_in, n_pre) if n]
    starts = [0, *ends[:-1]]
    return [slice(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
