"""What a spiking working memory keeps: spikes, F, recall, lifetimes and joules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.pictures.style import COLOUR, GREY, LIGHT, styled

__all__ = ["AfterDelay", "AtBias", "Raster", "WithItems", "draw_working_memory"]

Array = NDArray[np.float64]
ITEM = (COLOUR["bias"], COLOUR["pulse"], COLOUR["read"], "#cc79a7", "#e69f00", LIGHT)


@dataclass(frozen=True)
class AfterDelay:
    """One item at one bias voltage after one delay.

    Parameters
    ----------
    volt, tau_s : float
    delay_s : float
        From the item's first spike to the cue's.
    recalled, expected : float
        Share of right answers, and the theory's.
    error : float
        Standard error of `recalled`, from question to question.
    questions : int
    """

    volt: float
    tau_s: float
    delay_s: float
    recalled: float
    expected: float
    error: float
    questions: int


@dataclass(frozen=True)
class WithItems:
    """Several items at one bias voltage, one of them asked for.

    Parameters
    ----------
    volt : float
    items : int
    recalled, expected, error : float
        As of `AfterDelay`.
    kept : float
        Items times the share of them that is recalled beyond chance.
    questions : int
    """

    volt: float
    items: int
    recalled: float
    expected: float
    error: float
    kept: float
    questions: int


@dataclass(frozen=True)
class AtBias:
    """One item at one bias voltage.

    Parameters
    ----------
    volt, tau_s : float
    lifetime_s, lifetime_expected_s : float
        Until recall is halfway from certainty to chance.
    bias_w : float
        Power of all devices under the bias.
    bias_j, pulse_j, read_j : float
        Energies from the item's first spike until the end of its lifetime.
    joule_per_item_second : float
        Their sum by the lifetime.
    """

    volt: float
    tau_s: float
    lifetime_s: float
    lifetime_expected_s: float
    bias_w: float
    bias_j: float
    pulse_j: float
    read_j: float
    joule_per_item_second: float


@dataclass(frozen=True)
class Raster:
    """Spikes, and F of some items.

    Parameters
    ----------
    cells : ndarray of int, (S,)
        Of the spikes.
    times : ndarray, (S,), second
    owner : ndarray of int, (S,)
        Item that was shown last, or asked for, if the cell is one of its own, else -1.
    lines : ndarray of int, (H,)
        First cells of hypercolumns.
    shown_s : ndarray, (L,)
        When each item was shown.
    cue_s, driven_s, until_s : float
        First spike of the cue; when the drive begins to rise; when the answer is taken.
    looks : ndarray, (K,), second
    short_term : ndarray, (L, K)
        Mean F of each item's synapses.
    others : ndarray, (K,)
        Mean F of all others.
    expected : ndarray, (L, K)
        The device's decay.
    """

    cells: NDArray[np.int64]
    times: Array
    owner: NDArray[np.int64]
    lines: NDArray[np.int64]
    shown_s: Array
    cue_s: float
    driven_s: float
    until_s: float
    looks: Array
    short_term: Array
    others: Array
    expected: Array


@styled
def draw_working_memory(
    raster: Raster,
    delays: Sequence[AfterDelay],
    items: Sequence[WithItems],
    biases: Sequence[AtBias],
    theory: Mapping[float, tuple[Array, Array]],
    chance: float,
) -> Figure:
    """Spikes, F in time, recall against delay and number of items, lifetimes and joules.

    Parameters
    ----------
    raster : Raster
    delays, items, biases : sequence
    theory : mapping of float to (ndarray, ndarray)
        Delay in second and recall expected of one item, by voltage.
    chance : float
        Of a right answer without memory.
    """
    figure = Figure(figsize=(12.5, 6.4))
    axes = figure.subplot_mosaic(
        [["spikes", "spikes", "recall", "F"], ["delay", "items", "lifetime", "joules"]]
    )
    _spikes(axes["spikes"], raster)
    _recall(axes["recall"], raster)
    _short_term(axes["F"], raster)
    _delays(axes["delay"], delays, theory, chance)
    _items(axes["items"], items, chance)
    _lifetimes(axes["lifetime"], biases)
    _joules(axes["joules"], biases)
    for letter, ax in zip("abcdefg", axes.values(), strict=True):
        ax.set_title(letter, loc="left", fontweight="bold", fontsize=10)
    return figure


def _colour(owner: Any) -> Any:
    return [GREY if k < 0 else ITEM[k % len(ITEM)] for k in owner]


def _spikes(ax: Any, raster: Raster) -> None:
    ax.scatter(raster.times, raster.cells, s=2, c=_colour(raster.owner), linewidths=0)
    for line in raster.lines:
        ax.axhline(line, color=GREY, linewidth=0.2)
    marks = [*enumerate(raster.shown_s), (0, raster.cue_s)]
    names = [*(f"{k + 1}" for k in range(len(raster.shown_s))), "cue of 1"]
    for (k, at), name in zip(marks, names, strict=True):
        _mark(ax, at, name, ITEM[k % len(ITEM)])
    ax.set(xlabel="time (s)", ylabel="pyramidal cell, by hypercolumn", ylim=(0, None))


def _mark(ax: Any, at: float, name: str, colour: str) -> None:
    place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom", "fontsize": 8}
    ax.annotate(name, (at, 1.0), color=colour, **place)


def _recall(ax: Any, raster: Raster) -> None:
    ms = 1e3 * (raster.times - raster.cue_s)
    near = (ms > -1) & (raster.times < raster.until_s + 1e-3)
    ax.scatter(
        ms[near], raster.cells[near], s=3, c=_colour(np.asarray(raster.owner)[near]), linewidths=0
    )
    for line in raster.lines:
        ax.axhline(line, color=GREY, linewidth=0.2)
    driven = 1e3 * (raster.driven_s - raster.cue_s)
    ax.axvline(driven, color=GREY, linewidth=0.5, linestyle=":")
    _mark(ax, driven / 2, "cue", ITEM[0])
    _mark(ax, driven + 2.5, "drive rises", GREY)
    ax.set(xlabel="time from the cue (ms)", yticks=[], ylim=(0, None))


def _short_term(ax: Any, raster: Raster) -> None:
    for k, (seen, expected) in enumerate(zip(raster.short_term, raster.expected, strict=True)):
        colour = ITEM[k % len(ITEM)]
        ax.plot(raster.looks, 1e3 * expected, color=colour, linewidth=0.8, linestyle="--")
        ax.plot(raster.looks, 1e3 * seen, ".", color=colour, markersize=3.5, label=f"item {k + 1}")
    ax.plot(raster.looks, 1e3 * raster.others, color=GREY, linewidth=0.8, label="no item's")
    ax.set(xlabel="time (s)", ylim=(-4, 1.7e3 * np.max(raster.short_term)))
    ax.set_ylabel("mean F of synapses (10$^{-3}$)")
    ax.legend(fontsize=7, title="dashed: theory", title_fontsize=7, loc="upper left", ncols=2)


def _delays(
    ax: Any,
    rows: Sequence[AfterDelay],
    theory: Mapping[float, tuple[Array, Array]],
    chance: float,
) -> None:
    voltages = list(dict.fromkeys(r.volt for r in rows))
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(voltages)))
    for volt, colour in zip(voltages, colours, strict=True):
        mine = [r for r in rows if r.volt == volt]
        delay = [r.delay_s for r in mine]
        ax.errorbar(
            delay,
            [r.recalled for r in mine],
            [r.error for r in mine],
            fmt="o",
            markersize=3,
            color=colour,
            elinewidth=0.7,
        )
        ax.plot(*theory[volt], color=colour, linewidth=1, label=f"{volt:.2g} V")
    ax.axhline(chance, color=GREY, linewidth=0.5, linestyle=":")
    ax.set(xlabel="delay (s)", ylabel="recalled by one item's cue", xscale="log", ylim=(0, 1.05))
    ax.set_xlim(right=8 * max(r.delay_s for r in rows))
    ax.legend(fontsize=7, title="lines:\ntheory", title_fontsize=7, loc="upper right")


def _items(ax: Any, rows: Sequence[WithItems], chance: float) -> None:
    n = [r.items for r in rows]
    ax.errorbar(
        n,
        [r.recalled for r in rows],
        [r.error for r in rows],
        fmt="o",
        markersize=3,
        color=COLOUR["bias"],
        elinewidth=0.7,
        label="recalled",
    )
    ax.plot(n, [r.expected for r in rows], color=COLOUR["bias"], label="theory")
    ax.axhline(chance, color=GREY, linewidth=0.5, linestyle=":")
    ax.set(xlabel=f"items encoded, {rows[0].volt:.2g} V", xscale="log", ylim=(0, 1.05))
    ax.set_ylabel("recalled", color=COLOUR["bias"])
    ax.set_xticks(n, [str(k) for k in n], minor=False)
    ax.minorticks_off()
    kept = ax.twinx()
    kept.spines["right"].set_visible(True)
    kept.plot(n, [r.kept for r in rows], "s--", color=COLOUR["pulse"], markersize=3, linewidth=0.8)
    kept.set_ylabel("items kept", color=COLOUR["pulse"])
    kept.set_ylim(0, None)


def _lifetimes(ax: Any, rows: Sequence[AtBias]) -> None:
    volt = [r.volt for r in rows]
    ax.plot(
        volt,
        [r.lifetime_s for r in rows],
        "o",
        color=COLOUR["bias"],
        markersize=4,
        label="lifetime",
    )
    ax.plot(volt, [r.lifetime_expected_s for r in rows], color=COLOUR["bias"], label="theory")
    ax.plot(volt, [r.tau_s for r in rows], "--", color=GREY, linewidth=0.8, label="\u03c4(V)")
    ax.set(xlabel="bias voltage (V)", ylabel="lifetime of an item (s)", yscale="log")
    ax.legend(fontsize=7)


def _joules(ax: Any, rows: Sequence[AtBias]) -> None:
    volt = [r.volt for r in rows]
    for term in ("bias", "pulse", "read"):
        spent = [getattr(r, f"{term}_j") / r.lifetime_s or np.nan for r in rows]
        ax.plot(volt, spent, "o-", color=COLOUR[term], markersize=3, label=term)
    ax.set(xlabel="bias voltage (V)", yscale="log")
    ax.set_ylabel("joules per item and second")
    ax.legend(fontsize=7)
