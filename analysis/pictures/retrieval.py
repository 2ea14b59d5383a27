"""Figures of associative retrieval: learning curves, and what the short-term weights hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.pictures.style import COLOUR, GREY, styled

__all__ = ["draw_accuracies", "draw_short_term_weights", "recalled"]

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


def recalled(short_term: Array, h: Array, readout: Array, n_pairs: int) -> Array:
    """What F says of each letter at every step: ``readout F h(letter)``.

    Parameters
    ----------
    short_term : ndarray, (T, N, M)
        F that each step is read with.
    h : ndarray, (T, N)
        Of each step; a letter's is that of the step that showed it.
    readout : ndarray, (n_values, N)
    n_pairs : int

    Returns
    -------
    ndarray, (T, n_pairs, n_values)
        Scores of the digits, with the mean over digits removed.
    """
    letters = h[: 2 * n_pairs : 2]
    held = short_term[:, :, -h.shape[1] :]
    scores = np.einsum("vi,tij,pj->tpv", readout, held, letters, optimize=True)
    return scores - scores.mean(axis=2, keepdims=True)


@styled
def draw_short_term_weights(text: str, scores: Array) -> Figure:
    """What F says of each letter of one sequence: of its own digit over time, of all at the end.

    Parameters
    ----------
    text : str, length T
        The symbols.
    scores : ndarray, (T, n_pairs, n_values)
        See `recalled`.
    """
    n_steps, n_pairs, n_values = scores.shape
    shown = [int(digit) for digit in text[1 : 2 * n_pairs : 2]]
    figure = Figure(figsize=(8.4, 3.6))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[n_steps, n_values])
    own = scores[:, np.arange(n_pairs), shown].T
    scale: dict[str, Any] = {"vmin": min(0.0, scores[-1].min()), "vmax": own.max()}
    left.imshow(own, cmap="cividis", aspect="auto", **scale)
    left.set_xticks(range(n_steps), list(text))
    left.set_yticks(range(n_pairs), [text[2 * k] for k in range(n_pairs)])
    left.set(xlabel="symbol read", ylabel="letter")
    left.set_title("score of the letter's own digit", loc="left")
    image = right.imshow(scores[-1], cmap="cividis", aspect="auto", **scale)
    rings: dict[str, Any] = {"fillstyle": "none", "color": COLOUR["pulse"], "markersize": 10}
    right.plot(shown, range(n_pairs), "o", label="shown with the letter", **rings)
    asked = text.index(text[-2]) // 2
    right.plot(shown[asked], asked, "s", label="asked for", **rings | {"markersize": 15})
    right.set_xticks(range(n_values))
    right.set_xlabel("digit")
    right.set_title("of all digits, at the answer", loc="left")
    for axes in (left, right):
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    figure.colorbar(image, label="readout of F h(letter) (logit)")
    figure.legend(loc="outside lower right", ncols=2)
    return figure
