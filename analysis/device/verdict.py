"""Whether a fit can be trusted: tests that its residuals are scatter and its law the right one.

Every test objects to a fit that is right once in 1,000 times.

- A row that stands out of all others, by its deletion residual.
- A law that holds the fitted one and describes the rows better, by the F test of nested fits.
- Lack of fit: settings that were repeated scatter about the law more than about their own means,
  by the F test of pure error.
- Runs: residuals that keep their sign along a curve or along the file (Wald and Wolfowitz).
- Rounds: repeats of the same rank that deviate together, as those of several devices do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import norm

from mstpn.analysis.device.least_squares import ALPHA, Fit
from mstpn.analysis.device.measurements import counted, line_numbers
from mstpn.analysis.device.outliers import outliers
from mstpn.synapses.support.sourced import DataError

__all__ = ["Verdict", "judge", "lack_of_fit", "nested", "rounds", "runs"]

_FEWEST_ROWS = 8
_FEWEST_IN_A_ROUND = 4
_MANY_AT_THE_TOP = 3
_FEW_DOF, _WIDE = 12, 3.0
_UNTOLD = "): a drift, or several devices without a column 'device'"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What speaks against a fit.

    Parameters
    ----------
    doubts : tuple of str
        Why it should not be trusted.
    notes : tuple of str
        What else there is to know.
    """

    doubts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.doubts

    def __str__(self) -> str:
        return "do not trust it, because " + "; ".join(self.doubts) if self.doubts else "trust it"


def judge(fit: Fit) -> Verdict:
    """Put a fit to all tests that its rows allow."""
    doubts = [] if fit.tests_its_form else [_untested(fit)]
    if fit.is_exact:
        note = "the rows agree with the law to rounding, so they were calculated from it"
        return Verdict(tuple(doubts), (note, *_notes(fit)))
    rows = outliers(fit) & fit.used
    rest = fit
    if rows.any():
        doubts.append(_standing_out(fit, rows))
        rest = fit.without(rows)
    misfit = _better_laws(rest) or _not_scatter(rest)
    return Verdict((*doubts, *misfit, *_clipped(fit)), tuple(_notes(fit)))


def _untested(fit: Fit) -> str:
    if fit.is_decay:
        return "two bias voltages determine the two constants of the sigmoid and do not test it"
    return "as many settings as constants were measured, so that its R\u00b2 says nothing"


def _standing_out(fit: Fit, rows: NDArray[np.bool_]) -> str:
    lines = line_numbers(np.sort(fit.data.lines[rows]))
    verb = "stands" if rows.sum() == 1 else "stand"
    return f"{lines} {verb} out of the others (--robust leaves such rows out)"


def _better_laws(fit: Fit) -> list[str]:
    """Wider laws that the rows ask for; one without an option only if there is no other."""
    doubts = {}
    for option, wider in fit.wider.items():
        try:
            fits = wider.fits(fit)
        except DataError:
            continue
        p = nested(fit, fits)
        if p < ALPHA:
            enough = not any(map(_not_scatter, fits))
            use = f"; {option} {'fits that' if enough else 'is nearer, no more'}" if option else ""
            doubts[option] = f"{wider.says(fits)} (F test, p = {p:.1g}{use})"
    if len(doubts) > 1:
        doubts.pop("", None)
    return list(doubts.values())


def nested(fit: Fit, fits: list[Fit]) -> float:
    """Chance that a wider law is better by as much as it is, if the narrower one is right."""
    squares = _squares(fit)
    left = sum(_squares(one) for one in fits)
    more, dof = fit.dof - sum(one.dof for one in fits), sum(one.dof for one in fits)
    if more <= 0 or dof <= 0 or left <= 0:
        return 1.0
    return float(f_distribution.sf((squares - left) / more / (left / dof), more, dof))


def _squares(fit: Fit) -> float:
    return sum(float(np.sum((f.residuals / f.errors)[f.used] ** 2)) for f in fit.each)


def _not_scatter(fit: Fit) -> list[str]:
    """Objections to the residuals, whatever their cause."""
    doubts = []
    if (p := lack_of_fit(fit)) < ALPHA:
        doubts.append(
            f"settings that were repeated lie off the law (F test of pure error, p = {p:.1g})"
        )
    if (p := runs(fit)) < ALPHA:
        doubts.append(f"residuals keep their sign along a curve (runs test, p = {p:.1g})")
    elif (p := runs(fit, in_file_order=True)) < ALPHA:
        doubts.append(f"residuals keep their sign from row to row (runs test, p = {p:.1g}{_UNTOLD}")
    elif (p := rounds(fit)) < ALPHA:
        doubts.append(f"repeats of the same rank deviate together (F test, p = {p:.1g}{_UNTOLD}")
    return doubts


def rounds(fit: Fit) -> float:
    """Chance that the first repeats of all settings, the second and so on differ by so much."""
    scaled, setting = fit.standardised, _settings(fit)
    order = np.lexsort((fit.data.lines[fit.used], setting))
    starts = np.searchsorted(setting[order], setting[order])
    rank = np.empty(len(setting), int)
    rank[order] = np.arange(len(setting)) - starts
    n_rounds = rank.max() + 1
    counts = np.bincount(rank)
    between, within = n_rounds - 1, fit.dof - n_rounds + 1
    if between < 1 or within < 2 or counts.min() < _FEWEST_IN_A_ROUND:
        return 1.0
    apart = float(np.sum(np.bincount(rank, scaled) ** 2 / counts))
    rest = float(np.sum(scaled**2)) - apart
    return float(f_distribution.sf(apart / between / (rest / within), between, within))


def _settings(fit: Fit) -> NDArray[np.int_]:
    """A number for every setting, of each row that was used."""
    setting = np.unique(fit.variables[:, fit.used], axis=1, return_inverse=True)[1]
    return np.asarray(setting.ravel())


def lack_of_fit(fit: Fit) -> float:
    """Chance of the scatter of repeated settings' means about the law, given that within them."""
    scaled, setting = fit.standardised, _settings(fit)
    n_settings = setting.max() + 1
    within, between = len(scaled) - n_settings, n_settings - fit.n_parameters
    if within < 2 or between < 1:
        return 1.0
    means = np.bincount(setting, scaled) / np.bincount(setting)
    pure = float(np.sum((scaled - means[setting]) ** 2))
    if pure == 0:
        return 1.0
    lack = float(np.sum(scaled**2)) - pure
    return float(f_distribution.sf(lack / between / (pure / within), between, within))


def runs(fit: Fit, *, in_file_order: bool = False) -> float:
    """Chance of so few runs of residuals of one sign, in all curves together.

    Parameters
    ----------
    fit : Fit
    in_file_order : bool
        All rows as they stand in the file, instead of each curve along its first variable.
    """
    scaled, variables = fit.standardised, fit.variables[:, fit.used]
    if len(scaled) < _FEWEST_ROWS:
        return 1.0
    if in_file_order:
        curves = [np.argsort(fit.data.lines[fit.used], kind="stable")]
    else:
        _, curve = np.unique(variables[1:], axis=1, return_inverse=True)
        curve = curve.ravel()
        order = np.argsort(variables[0], kind="stable")
        curves = [order[curve[order] == k] for k in range(curve.max() + 1)]
    n_runs, expected, variance = 0, 0.0, 0.0
    for rows in curves:
        above = scaled[rows] > 0
        n, n_above = len(above), int(above.sum())
        product = 2.0 * n_above * (n - n_above)
        n_runs += 1 + int(np.count_nonzero(np.diff(above)))
        expected += 1 + product / n
        variance += product * (product - n) / (n**2 * (n - 1)) if n > 1 else 0.0
    if variance <= 0:
        return 1.0
    return float(norm.cdf((n_runs - expected + 0.5) / np.sqrt(variance)))


def _clipped(fit: Fit) -> list[str]:
    """Many rows of different settings at one largest value that no other value is as often."""
    sizes = np.abs(fit.measured[fit.used])
    different, counts = np.unique(sizes, return_counts=True)
    top = sizes == different[-1]
    settings = np.unique(fit.variables[:, fit.used][:, top], axis=1).shape[1]
    if settings < _MANY_AT_THE_TOP or counts[-1] <= 2 * max(counts[:-1], default=0):
        return []
    rows = counted(int(counts[-1]), "row")
    return [f"{rows} share the largest value, so it was the limit of a range or a compliance"]


def _spans(fit: Fit) -> bool:
    sizes = np.abs(fit.predicted(fit.variables))
    return bool(sizes.max() > _WIDE * sizes.min())


def _notes(fit: Fit) -> list[str]:
    notes = []
    if not fit.used.all():
        notes.append(f"left out as outliers: {line_numbers(np.sort(fit.data.lines[~fit.used]))}")
    if fit.note is not None and (note := fit.note(fit)):
        notes.append(note)
    stated = f"{fit.quantity} error" in fit.data
    if not stated and any(np.ptp(one.errors) > 0 for one in fit.each):
        notes.append("the scatter grows with the value, and rows are weighted by it")
    elif not stated and fit.dof < _FEW_DOF and not fit.is_exact and _spans(fit):
        notes.append(
            "too few rows to tell whether the scatter grows with the value, which would make the "
            "intervals wider: standard errors beside the values say it"
        )
    if fit.devices:
        notes.append(f"constants and intervals of the mean of {len(fit.devices)} devices")
    return notes
