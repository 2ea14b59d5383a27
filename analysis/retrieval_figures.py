"""Figures of associative retrieval: learning curves, and what the short-term weights hold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.figures import COLOUR, GREY, styled

__all__ = ["draw_accuracies", "draw_short_term_weights", "recalled", "strongest_synapses"]

Array = NDArray[np.float64]
_COLOURS = (COLOUR["bias"], COLOUR["pulse"], COLOUR["read"])


@styled
def draw_accuracies(
    curves: Mapping[str, Sequence[tuple[int, float]]], levels: Mapping[str, float]
) -> Figure:
    """Accuracy against updates.

    Parameters
    ----------
    curves : mapping of str to sequence of (int, float)
        Updates and accuracy on sequences kept apart, by label.
    levels : mapping of str to float
        Accuracies to compare with, by label.
    """
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.subplots()
    for colour, (label, curve) in zip(_COLOURS, curves.items(), strict=False):
        steps, accuracy = np.array(curve).T
        axes.plot(steps, 100 * accuracy, color=colour, label=label)
    for dashes, (label, level) in zip(("--", ":"), levels.items(), strict=False):
        axes.axhline(100 * level, color=GREY, linestyle=dashes, linewidth=1, label=label)
    axes.set(xlabel="updates of the parameters", ylabel="right answers (%)", ylim=(0, 102))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def strongest_synapses(trace: Array, n_pairs: int) -> list[tuple[int, int]]:
    """For each pair, the synapse that its digit's step changes most.

    Parameters
    ----------
    trace : ndarray, (T, N, M)
        F that each step is read with.
    n_pairs : int

    Returns
    -------
    list of (int, int)
        Postsynaptic and presynaptic unit, one per pair and none twice.
    """
    found: list[tuple[int, int]] = []
    for pair in range(n_pairs):
        digit_step = 2 * pair + 1
        change = np.abs(trace[digit_step + 1] - trace[digit_step])
        for used in found:
            change[used] = -1
        unit, presynaptic = np.unravel_index(int(change.argmax()), change.shape)
        found.append((int(unit), int(presynaptic)))
    return found


def recalled(trace: Array, h: Array, readout: Array, n_pairs: int) -> Array:
    """What F says of each letter just before the answer: ``readout F h(letter)``.

    Parameters
    ----------
    trace : ndarray, (T, N, M)
    h : ndarray, (T, N)
        Of each step; a letter's is that of the step that showed it.
    readout : ndarray, (n_values, N)
    n_pairs : int

    Returns
    -------
    ndarray, (n_pairs, n_values)
        Scores of the digits, with the mean over digits removed.
    """
    letters = h[: 2 * n_pairs : 2]
    scores = letters @ trace[-1][:, -h.shape[1] :].T @ readout.T
    return scores - scores.mean(axis=1, keepdims=True)


@styled
def draw_short_term_weights(text: str, trace: Array, scores: Array, n_features: int) -> Figure:
    """One sequence: F over its steps where each pair is held, and what F says of each letter.

    Parameters
    ----------
    text : str, length T
        The symbols.
    trace : ndarray, (T, N, M)
        F that each step is read with.
    scores : ndarray, (n_pairs, n_values)
        See `recalled`.
    n_features : int
        Presynaptic units below this number are features of the symbol, the others are h.
    """
    n_pairs, n_values = scores.shape
    pairs = [text[2 * k : 2 * k + 2] for k in range(n_pairs)]
    figure = Figure(figsize=(8.4, 3.8))
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    synapses = strongest_synapses(trace, n_pairs)
    cmap = _shades(n_pairs)
    for pair, (unit, pre), colour in zip(pairs, synapses, cmap, strict=True):
        kind = f"x {pre}" if pre < n_features else f"h {pre - n_features}"
        name = f"{pair}:  {kind} \N{RIGHTWARDS ARROW} {unit}"
        left.plot(trace[:, unit, pre], ".-", color=colour, label=name)
    left.set_xticks(range(len(text)), list(text))
    left.set(xlabel="symbol read", ylabel="short-term weight F")
    left.set_title("the synapse that each pair changes most", loc="left")
    left.legend(fontsize=7, ncols=2)
    image = right.imshow(scores, cmap="cividis", aspect="auto")
    for row, pair in enumerate(pairs):
        column = int(pair[1])
        right.plot(column, row, "o", color=COLOUR["pulse"], fillstyle="none", markersize=9)
    right.set_xticks(range(n_values))
    right.set_yticks(range(n_pairs), [pair[0] for pair in pairs])
    right.set(xlabel="digit", ylabel="letter")
    right.spines[:].set_visible(False)
    right.set_title(f"readout of F h(letter) before the answer\n(rings: shown; asked: {text[-2]})")
    figure.colorbar(image, label="score (logit)")
    return figure


def _shades(n: int) -> Array:
    import matplotlib

    return matplotlib.colormaps["viridis"](np.linspace(0, 0.92, n))
