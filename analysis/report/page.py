"""The report on one game's energy: its numbers, figures and page from the same sources."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from brian2.units import Quantity, joule, second
from matplotlib.figure import Figure

from mstpn.analysis.energy.energies import TERMS, energies, marks, provenance
from mstpn.analysis.energy.integration import Integration, Sums
from mstpn.analysis.energy.ledger import ledger
from mstpn.analysis.energy.left_out import Part, left_out
from mstpn.analysis.energy.policies import POLICIES, Held, cheapest, trained
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import Samples, monte_carlo, varied
from mstpn.analysis.gpu.baselines import Baseline, PaperGame, paper_game
from mstpn.analysis.gpu.break_even import Curve, curves
from mstpn.analysis.gpu.ratios import Ratio, break_even_figure, ratio_figure, ratios
from mstpn.analysis.report import figures, tables
from mstpn.synapses.memristor import Memristor

__all__ = ["Report", "make_report"]

_DRAWN = ("a100_fp16_best_size", "stream_hbm2_fp16", "resident_l2_fp16")
"""Baselines in the figures that have no room for all."""

_CAPTIONS = {
    "4c_trace": "4c. Total weight S at the start of every frame.",
    "4d_zoom": "4d. Some seconds of it: F decays between the pulses, whose updates are below.",
    "4e_pulse_energy": "4e. Energy of a pulse against its update.",
    "4f_bias_power": "4f. Power under bias against total weight.",
    "4g_energy_over_time": "4g. Energy so far, memristors by term at trained voltages and GPUs.",
    "4h_histograms": "4h. Energy per synapse over the game, by term.",
    "4i_per_synapse": "4i. Energy of each synapse over the game.",
    "ratios": "Ratio to every baseline, as the paper counts; lines: 95 % of the Monte Carlo.",
    "ratios_of_systems": "The same with what the paper leaves out.",
    "break_even": "Energy per synapse and step; a baseline is beaten where a curve is below it.",
}


@dataclass(frozen=True)
class Report:
    """Everything that is said about one game; see `make_report`."""

    recording: Recording
    device: Memristor
    registry: Mapping[str, Baseline]
    game: PaperGame
    held: Mapping[str, Held]
    sums: Mapping[str, Sums]
    ledger: xr.Dataset
    samples: Samples
    curves: Mapping[str, Curve]
    parts: Sequence[Part]
    steps: Sequence[Quantity]

    def ratios(self, step: Quantity, *, system: bool = False) -> dict[tuple[str, str], Ratio]:
        """Ratio for every baseline and policy; of systems, with what the paper leaves out."""
        parts = self.parts if system else ()
        return ratios(self.recording, self.samples, self.registry, step, parts)

    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        both = (self.ledger, self.device)
        drawn = [self.registry[name] for name in _DRAWN]
        step = self.recording.step_duration
        bound = self.held["worst case"]
        worst = energies(bound.recording, self.device, bound.bias_voltage, self.sums["worst case"])[
            "bias"
        ]
        by_step = {float(s / second): self.ratios(s) for s in self.steps}
        found = {
            "4c_trace": figures.trace_over_game(*both),
            "4d_zoom": figures.trace_zoom(*both),
            "4e_pulse_energy": figures.pulse_energies(*both),
            "4f_bias_power": figures.power_against_weight(*both),
            "4g_energy_over_time": figures.energy_over_time(*both, drawn, worst, step),
            "4h_histograms": figures.histograms(*both),
            "4i_per_synapse": figures.per_synapse(*both),
            "ratios": ratio_figure(by_step, self.registry),
            "break_even": break_even_figure(self.curves, self.device, drawn, step),
        }
        if self.parts:
            systems = {float(s / second): self.ratios(s, system=True) for s in self.steps}
            found["ratios_of_systems"] = ratio_figure(systems, self.registry)
        return found

    def numbers(self) -> dict[str, Any]:
        """Plain numbers, units in the names."""
        return {
            "attributes": dict(self.recording.attributes),
            "synapses": self.recording.n_synapses,
            "decisions": self.recording.n_frames,
            "step_s": float(self.recording.step_duration / second),
            "provenance": provenance(self.device),
            "energy_j": {
                policy: {
                    term: float(energy / joule)
                    for term, energy in energies(
                        held.recording, self.device, held.bias_voltage, self.sums[policy]
                    ).items()
                }
                for policy, held in self.held.items()
            },
            "ratios": [
                {
                    "step_s": float(step / second),
                    "level": "system" if system else "synapse",
                    "baseline": baseline,
                    "bias": policy,
                    "assumed": tables.assumed(policy, self.device),
                    "ratio": r.value,
                    "low": r.low,
                    "high": r.high,
                }
                for step in self.steps
                for system in ([False, True] if self.parts else [False])
                for (baseline, policy), r in self.ratios(step, system=system).items()
            ],
        }

    def markdown(self, checked: Mapping[str, Any]) -> str:
        """The page; its figures lie beside it as PNG files of their names.

        Parameters
        ----------
        checked : mapping
            Of `tables.paper_check`.
        """
        device, recording = self.device, self.recording
        sections = [
            "# Energy of one game",
            self._game(),
            self._headline(),
            "## By term and bias",
            self._energies(),
            self._beside_the_paper(),
            "## Against GPUs, as the paper counts",
            _RATIO_NOTE,
            *self._ratio_tables(system=False),
        ]
        if self.parts:
            sections += [
                "## What the paper leaves out",
                tables.left_out_table(recording, self.parts, self.samples),
                "Ratios of systems: all of this counts for the memristors, and what a GPU's agent "
                "needs too counts, at the same cost, for both.",
                *self._ratio_tables(system=True),
            ]
        sections += [
            "## Break-even",
            "Where memristors and GPU spend the same, all else as in this game, or which of them "
            "spends less throughout the range drawn below. The paper's step is read as "
            f"{tables.reading(recording.step_duration)} (assumed). "
            f"Memristor curves rest on {provenance(device, ('pulse', 'bias'))}.",
            tables.break_even_table(self.curves, self.registry, recording.step_duration),
            "## The paper's arithmetic",
            tables.paper_check_text(checked, self.game, device, self.registry),
            "## Figures",
            *(f"![{_CAPTIONS[name]}]({name}.png)\n\n{_CAPTIONS[name]}" for name in self._drawn()),
            "## Constants",
            tables.constant_tables(device, self.registry, varied(device)),
        ]
        return "\n\n".join(sections) + "\n"

    def _drawn(self) -> list[str]:
        return [name for name in _CAPTIONS if self.parts or name != "ratios_of_systems"]

    def _game(self) -> str:
        recording, total = self.recording, self.ledger.frame_energy.sum("frame")
        said = "".join(f", {k} {v}" for k, v in recording.attributes.items())
        spent = ", ".join(
            f"{term} {tables.millijoule(float(total.sel(term=term)) * joule)} "
            f"({provenance(self.device, [term])})"
            for term in TERMS
        )
        top = ", ".join(
            f"{i} \N{RIGHTWARDS ARROW} {j}"
            for i, j in zip(
                self.ledger.trace_presynaptic.values,
                self.ledger.trace_postsynaptic.values,
                strict=True,
            )
        )
        return (
            f"{recording.n_synapses:,} synapses, {recording.n_frames:,} decisions of "
            f"{tables.reading(recording.step_duration)}{said} (recorded). At trained voltages: "
            f"{spent}. Traced synapses, the first with the largest updates: {top}. "
            f"{tables.negative_conductance(self.ledger.frames_below_zero.values)}"
        )

    def _headline(self) -> str:
        found = [self.ratios(step) for step in self.steps]
        lines = [
            "For the same updates, as the paper counts, a GPU spends, from one reading of the "
            "step to the other [95 % over the device constants that are assumed]:"
        ]
        for name in _DRAWN:
            said = []
            for policy in ("worst case", "trained"):
                rows = [f[name, policy] for f in found]
                low, *_, high = sorted(r.value for r in rows)
                said.append(
                    f"{tables.span(low, high)} times as much at {policy} bias "
                    f"[{tables.number(min(r.low for r in rows))}, "
                    f"{tables.number(max(r.high for r in rows))}] "
                    f"({tables.rests_on(policy, self.device)})"
                )
            baseline = self.registry[name]
            lines.append(f"- {baseline.label} ({baseline.provenance}): {', '.join(said)}")
        return "\n".join([lines[0] + "\n", *lines[1:]])

    def _beside_the_paper(self) -> str:
        pulse = float(self.ledger.frame_energy.sel(term="pulse").sum()) * joule
        published = self.game.pulse_energy
        return (
            f"The paper's game spent {tables.millijoule(published.value)} on pulses "
            f"({published.provenance}), {tables.number(float(published.value / pulse))} times this "
            "one: agents differ, and pulse energies are not published "
            f"({marks(self.device, ['pulse'])})."
        )

    def _energies(self) -> str:
        known = [float(step.value / second) for step in self.game.steps]
        extra = [s for s in self.steps if not np.isclose(float(s / second), known, rtol=1e-9).any()]
        rows = [
            row
            for policy, held in self.held.items()
            for row in tables.energy_table(
                held, self.sums[policy], policy, self.device, self.game.steps, extra
            )
        ]
        return tables.table(tables.ENERGY_HEADER, rows)

    def _ratio_tables(self, *, system: bool) -> list[str]:
        sections = []
        for step in self.steps:
            found = self.ratios(step, system=system)
            sections += [
                f"One step per {tables.reading(step)} (assumed):",
                tables.ratio_table(found, self.registry, self.device),
            ]
        return sections


_RATIO_NOTE = (
    "GPU energy over the memristors' pulses and bias for the same updates; in brackets the 95 % "
    "interval over the device constants that are assumed (ranges below), in parentheses what the "
    "ratio rests on that is assumed. GPU figures are not varied. A constant at an end of its "
    "range, as `bias_voltage_min` at 0 V, makes the interval one-sided: the value is then near "
    "the best case, not in the middle. A GPU's energy grows with steps and the bias energy with "
    "seconds, and the paper does not say how long its step is, so both readings are shown. "
    "Baselines of the paper's whole game are divided by the steps that a reading gives it."
)


def make_report(
    recording: Recording,
    device: Memristor,
    registry: Mapping[str, Baseline],
    *,
    n_samples: int,
    seed: int,
    synapses: Sequence[tuple[int, int]] = (),
    keep_decay: float | None = None,
    step: Quantity | None = None,
    with_left_out: bool = False,
    progress: Callable[[], Any] | None = None,
) -> Report:
    """Count and compare.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    registry : mapping of str to Baseline
    n_samples, seed : int
        Of the Monte Carlo.
    synapses : sequence of (int, int)
        To trace besides the one with the largest update.
    keep_decay : float, optional
        Also charge the cheapest voltage for this Lambda.
    step : Quantity, second, optional
        A time base besides the two readings of the paper's step.
    with_left_out : bool
        Add the ratio of systems.
    progress : callable, optional
        Called after every sample.

    Raises
    ------
    ValueError
        If a synapse does not exist or the device cannot keep Lambda.
    """
    game = paper_game()
    held = {name: hold(recording, device) for name, hold in POLICIES.items()}
    if keep_decay is not None:
        held[f"cheapest for Lambda {keep_decay:g}"] = cheapest(recording, device, keep_decay)
    whole = Integration(recording, device.energy_exponent).advance()
    sums = {
        name: whole
        if game_held.recording is recording
        else Integration(game_held.recording, device.energy_exponent).advance()
        for name, game_held in held.items()
    }
    voltage = trained(recording, device).bias_voltage
    steps = [s.value for s in game.steps] + ([] if step is None else [step])
    return Report(
        recording=recording,
        device=device,
        registry=registry,
        game=game,
        held=held,
        sums=sums,
        ledger=ledger(
            recording, device, voltage, synapses=synapses, attributes={"bias": "trained"}
        ),
        samples=monte_carlo(recording, device, n_samples, seed, progress, whole),
        curves=curves(recording, device, whole),
        parts=left_out() if with_left_out else [],
        steps=steps,
    )
