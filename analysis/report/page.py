"""The report on one game's energy: its numbers, figures and page from the same sources."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from brian2.units import Quantity, joule, pjoule, second
from matplotlib.figure import Figure

from mstpn.analysis.energy.energies import assumed_constants, energies, marks, provenance
from mstpn.analysis.energy.integration import Integration, Sums
from mstpn.analysis.energy.ledger import ledger
from mstpn.analysis.energy.left_out import Part, left_out
from mstpn.analysis.energy.neuromorphic import Processor, processors
from mstpn.analysis.energy.policies import POLICIES, Held, cheapest, trained
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import Samples, monte_carlo, varied
from mstpn.analysis.gpu.baselines import (
    MAIN,
    Baseline,
    PaperGame,
    main_ratio,
    paper_game,
    reading,
)
from mstpn.analysis.gpu.break_even import Curve, curves
from mstpn.analysis.gpu.ratios import Ratio, break_even_figure, interval, ratio_figure, ratios
from mstpn.analysis.report import figures, notes, tables
from mstpn.analysis.report.markup import Html, cell, fold, legend, marked, note, page
from mstpn.analysis.report.picture import Bar, picture
from mstpn.analysis.report.tables import bias_terms
from mstpn.analysis.report.wording import energy, millijoule, number, span
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Sourced

__all__ = ["Report", "make_report"]

_DRAWN = (MAIN, "stream_hbm2_fp16", "resident_l2_fp16")
"""Baselines in the figures that have no room for all."""
_SHOWN = ("worst case", "trained")
"""Bias policies that are compared on the page; all are in `Report.numbers`."""
_MEASURED_DRAWN = "measured_fp16_fused_best_size"
"""One more, if a GPU was measured."""


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
    processors: Sequence[Processor]
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
        by_name = {
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
            by_name["ratios_of_systems"] = ratio_figure(systems, self.registry)
        return by_name

    def numbers(self) -> dict[str, Any]:
        """Plain numbers, units in the names."""
        return {
            "attributes": dict(self.recording.attributes),
            "synapses": self.recording.n_synapses,
            "decisions": self.recording.n_frames,
            "step_s": float(self.recording.step_duration / second),
            "provenance": provenance(self.device),
            "main_ratio": self.main_ratio(),
            "energy_j": {
                policy: {
                    term: float(energy / joule)
                    for term, energy in energies(
                        held.recording, self.device, held.bias_voltage, self.sums[policy]
                    ).items()
                }
                for policy, held in self.held.items()
            },
            "synapse_step_j": {
                policy: dict(zip(map(_seconds, self.steps), self._per_update(policy), strict=True))
                for policy in POLICIES
            },
            "ratios": [
                {
                    "step_s": float(step / second),
                    "level": "system" if system else "synapse",
                    "baseline": baseline,
                    "bias": policy,
                    "assumed": ["step", *assumed_constants(self.device, bias_terms(policy))],
                    "ratio": r.value,
                    "low": r.low,
                    "high": r.high,
                }
                for step in self.steps
                for system in ([False, True] if self.parts else [False])
                for (baseline, policy), r in self.ratios(step, system=system).items()
            ],
        }

    def main_ratio(self) -> float:
        """The ratio that stands for all; see `mstpn.analysis.gpu.baselines.main_ratio`."""
        spent = self.samples.energy("worst case", self.recording.step_duration)[0]
        updates = self.recording.n_synapses * self.recording.n_frames
        return main_ratio(updates, spent, self.recording.step_duration)

    def text(self) -> str:
        """What to take home, for a terminal."""
        ratios_by_step = [self.ratios(step) for step in self.steps]
        rows = [("GPU energy / memristor energy", *map(self._policy, _SHOWN))]
        for name in self._compared():
            cells = (
                tables.ratio_text(f[name, policy] for f in ratios_by_step) for policy in _SHOWN
            )
            rows.append((self.registry[name].label, *cells))
        spent = [millijoule(self._spent(policy)) for policy in _SHOWN]
        return (
            f"The paper's A100 spends {number(self.main_ratio())} x what the memristors spend.\n"
            f"Held fixed: {self._updates()};\n"
            f"pulses and bias counted; {self._policy('worst case')}: {spent[0]}. "
            f"At {self._policy('trained')}: {spent[1]}.\n\n"
            f"{tables.columns(rows)}\n"
            f"from {self._span()} a step, which the paper does not say; "
            "[95 % over the device constants that are assumed]"
        )

    def html(self, checked: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
        """The page, which needs nothing beside it.

        Parameters
        ----------
        checked : mapping
            Of `tables.paper_check`.
        pictures : mapping of str to bytes
            `figures` as PNG.
        """
        body = [self._first_screen(), *self._folds(checked), self._drawn(pictures)]
        ranges = varied(self.device)
        constant_tables = tables.constant_tables(self.device, self.registry, ranges)
        body.append(fold("Every constant, its source and its range", *constant_tables))
        return page(f"Energy of one game, {self._game()}", *body)

    def _game(self) -> str:
        attributes = self.recording.attributes.items()
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in attributes)

    def _first_screen(self) -> Html:
        ratio = {
            name: span([self.ratios(step)[name, "worst case"].value for step in self.steps])
            for name in _DRAWN[1:]
        }
        own, worst = (self._spent(policy) for policy in ("trained", "worst case"))
        held = (
            f"Held fixed: {self._updates()}; pulses and bias are counted, reads are not; "
            f"{self._policy('worst case')}, as the paper has it: {energy(worst)}. At "
            f"{self._policy('trained')} the memristors spend {energy(own)}, but that rests on "
            "constants of the device that are assumed."
        )
        return Html(
            f"<header><p>{cell(f'Energy of one game: {self._game()}')}</p>\n"
            f"<h1>The paper's A100 spends <b>{number(self.main_ratio())}\N{NO-BREAK SPACE}"
            "\N{MULTIPLICATION SIGN}</b> what the memristors spend on the same game; a GPU that "
            f"only streamed its weights, once a step, <b>{ratio['stream_hbm2_fp16']}"
            "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}</b>; one that kept them in its cache "
            f"<b>{ratio['resident_l2_fp16']}\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}</b>."
            f"</h1></header>\n{picture(self._bars(), self._caption())}"
            f'<p class="held">{cell(held)}</p>\n{legend()}'
        )

    def _bars(self) -> list[Bar]:
        bars = []
        for policy in _SHOWN:
            drawn = [
                interval(np.asarray(self.samples.energy(policy, step) / joule) / self._n_updates)
                for step in self.steps
            ]
            band = min(low for low, _ in drawn), max(high for _, high in drawn)
            provenances = marks(self.device, bias_terms(policy)).split(", ")
            values = self._per_update(policy)
            bars.append(Bar("memristors", self._policy(policy), provenances, values, band))
        for name in self._compared():
            baseline = self.registry[name]
            values = [float(baseline.energy(1, step) / joule) for step in self.steps]
            bars.append(Bar("GPUs", baseline.label, [baseline.provenance], values))
        group = "neuromorphic processors, per synaptic operation, which is not the same"
        for processor in self.processors:
            operation = processor.operation
            value = float(operation.value / joule)
            amount = f"{float(operation.value / pjoule):g} pJ"
            bars.append(Bar(group, processor.label, [operation.provenance], [value], said=amount))
        return bars

    def _caption(self) -> str:
        return (
            "Energy of one synapse in one step. Dots: "
            f"{', '.join(map(reading, self.steps))} a step, which the paper does not say. "
            "Pale: 95 % over the device constants that are assumed."
        )

    def _folds(self, checked: Mapping[str, Any]) -> list[Html]:
        recording, device = self.recording, self.device
        steps = [*self.game.steps]
        steps += [
            Sourced(s, "given", "")
            for s in self.steps
            if not any(np.isclose(float(s / known.value), 1, rtol=1e-9) for known in steps)
        ]
        folds = [
            fold(
                "How long is a step?",
                note(notes.CLOCK),
                tables.step_table(recording, self.game, steps),
            ),
            fold(
                "Where the joules go",
                tables.energy_table(self.held, self.sums, device, self.steps),
                note(self._beside_the_paper()),
                note(tables.negative_conductance(self.ledger.frames_below_zero.values)),
            ),
            fold(
                "Against every GPU, as the paper counts", note(notes.RATIO), *self._ratio_tables()
            ),
            fold(
                "Beside neuromorphic processors",
                note(notes.OPERATION),
                tables.operation_table(
                    recording, device, {p: self._per_update(p) for p in _SHOWN}, self.processors
                ),
            ),
        ]
        if self.parts:
            folds.append(
                fold(
                    "With what the paper leaves out",
                    tables.left_out_table(recording, self.parts, self.samples),
                    note(notes.SYSTEMS),
                    *self._ratio_tables(system=True),
                )
            )
        step = recording.step_duration
        return [
            *folds,
            fold(
                "Where memristors and GPUs spend the same",
                note(f"All else as in this game, at {reading(step)} a step. {notes.EVEN}"),
                *tables.break_even_tables(self.curves, self.registry, step, device),
            ),
            fold(
                "The paper's arithmetic, by the same code",
                tables.paper_check_table(checked, self.game, device, self.registry),
            ),
        ]

    def _ratio_tables(self, *, system: bool = False) -> list[Html]:
        ratios_by_step = [self.ratios(step, system=system) for step in self.steps]
        parts = []
        for policy in _SHOWN:
            rests = marks(self.device, bias_terms(policy)).split(", ")
            parts += [
                Html(f"<h3>{marked(self._policy(policy), rests)}</h3>"),
                tables.ratio_table(ratios_by_step, self.steps, self.registry, policy),
            ]
        return parts

    def _drawn(self, pictures: Mapping[str, bytes]) -> Html:
        pairs = zip(
            self.ledger.trace_presynaptic.values, self.ledger.trace_postsynaptic.values, strict=True
        )
        traced = ", ".join(f"{i} \N{RIGHTWARDS ARROW} {j}" for i, j in pairs)
        drawn = [
            Html(
                f'<figure class="drawn"><div><img alt="{cell(notes.CAPTIONS[name])}" '
                f'src="data:image/png;base64,{b64encode(content).decode()}"></div>'
                f"<figcaption>{cell(notes.CAPTIONS[name])}</figcaption></figure>"
            )
            for name, content in pictures.items()
        ]
        about = f"Figures 4c to 4i of the paper, of this game. Synapses traced: {traced}."
        return fold("Figures", note(about), *drawn)

    def _compared(self) -> list[str]:
        """Baselines that stand for all."""
        return [name for name in (*_DRAWN, _MEASURED_DRAWN) if name in self.registry]

    @property
    def _n_updates(self) -> int:
        return self.recording.n_synapses * self.recording.n_frames

    def _updates(self) -> str:
        recording = self.recording
        return (
            f"{self._n_updates:,} updates of a synapse ({recording.n_synapses:,} synapses, "
            f"{recording.n_frames:,} steps)"
        )

    def _spent(self, policy: str) -> Quantity:
        """Pulses and bias, at the step of the game."""
        return self.samples.energy(policy, self.recording.step_duration)[0]

    def _per_update(self, policy: str) -> list[float]:
        """Joule of pulses and bias per synapse and step, under every reading."""
        return [
            float(self.samples.energy(policy, step)[0] / joule) / self._n_updates
            for step in self.steps
        ]

    def _policy(self, policy: str) -> str:
        return tables.policy_name(policy, self.device)

    def _span(self) -> str:
        ends = min(self.steps), max(self.steps)
        return " to ".join(map(reading, ends))

    def _beside_the_paper(self) -> str:
        pulse = float(self.ledger.frame_energy.sel(term="pulse").sum()) * joule
        published = self.game.pulse_energy
        return (
            f"The paper's game spent {energy(published.value)} on pulses "
            f"({published.provenance}), {number(float(published.value / pulse))} times this "
            "one: agents differ, and pulse energies are not published."
        )


def _seconds(step: Quantity) -> str:
    return f"{float(step / second):.9g}"


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
        A time base besides the readings of the paper's step.
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
    steps = [s.value for s in game.steps]
    if step is not None and not any(np.isclose(float(step / s), 1, rtol=1e-9) for s in steps):
        steps.append(step)
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
        processors=processors(),
        steps=steps,
    )
