"""The page of a bench session: all measurements, figures and numbers from the same data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from brian2.units import siemens, usecond, volt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.device import bench_figures as draw
from mstpn.analysis.device.bench_extraction import Sigmoid, decay_over, fit_sigmoid, loop_area
from mstpn.analysis.device.bench_overlay import overlay
from mstpn.analysis.device.bench_traces import csv_text, tables
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.pictures.style import STYLE
from mstpn.synapses.bench import protocols as bench
from mstpn.synapses.bench.assumed import DELTA_F_STD
from mstpn.synapses.bench.characterisation import (
    LongTerm,
    Power,
    long_term_pulses,
    power_under_bias,
)
from mstpn.synapses.bench.protocols import Decay, PulseMap, Repeats
from mstpn.synapses.bench.specimen import READ_NOISE, Specimen
from mstpn.synapses.bench.voltage_driven import Trace
from mstpn.synapses.memristor import Memristor

__all__ = ["N_MEASUREMENTS", "BenchReport", "measure"]

Array = NDArray[np.float64]

N_MEASUREMENTS = 9
"""How often `measure` reports progress."""
_N_SET = (0, 100)

_CAPTIONS = {
    "2a_sweep": "2a. Conductance against voltage, swept from 0 V to either end and back; arrows "
    "show the direction.",
    "2c_set": "2c. SET pulses raise W; F has decayed when the device is read.",
    "2d_pulses": "2d. Short-term pulses of {width} µs on the long-term level (red), the device "
    "read at {read} all along.",
    "2e_zoom": "2e. The last three pulses of 2d, reads at {read} only.",
    "2f_rounds": "2f. The pulses of 2d at the smallest long-term weight W1 (below), and after 100 "
    "SET pulses and 240 s (above).",
    "3a_repeats": "3a. Change of conductance against time by pulses of {width} µs: mean and "
    "standard deviation of five.",
    "3b_update": "3b. Short-term change of conductance over amplitude and width.",
    "3c_energy": "3c. Energy of a pulse over amplitude and width.",
    "3d_decay": "3d. Decay under a constant bias after a pulse of {pulse}, {long} µs; voltage on a "
    "linear, conductance on a logarithmic axis of time, mean and standard deviation of five.",
    "3e_sigmoid": "3e. Λ from the decays of 3d, by fitting, and the sigmoid through it.",
}

_SIZES = {"2f_rounds": (5.0, 4.8), "3a_repeats": (5.4, 3.6), "3d_decay": (6.4, 5.2)}
_SIZE = (5.0, 3.6)


@dataclass(frozen=True)
class BenchReport:
    """All that was measured on one device; see `measure`."""

    device: Memristor
    specimen: Specimen
    swept: Trace
    set_up: Trace
    pulsed: Trace
    rounds: list[Trace]
    repeats: Repeats
    pulse_map: PulseMap
    decays: Decay
    decay: Array
    sigmoid: Sigmoid | None
    long_term: LongTerm
    power: Power

    def figures(
        self, measured: Mapping[str, Sequence[Measurements]] | None = None
    ) -> dict[str, Figure]:
        """All figures by name.

        Parameters
        ----------
        measured : mapping of str to sequence of Measurements, optional
            To lay over panels, by the names of `mstpn.analysis.device.bench_overlay.PANELS`.
        """
        with matplotlib.rc_context(STYLE):
            by_name = {}
            for name in _CAPTIONS:
                figure = Figure(figsize=_SIZES.get(name, _SIZE))
                self._draw(name, figure)
                for one in (measured or {}).get(name, ()):
                    overlay(figure, name, one)
                by_name[name] = figure
        return by_name

    def _draw(self, name: str, figure: Figure) -> None:
        device = self.device
        if name == "2f_rounds":
            axes = figure.subplots(len(self.rounds), 1, sharex=True)
            draw.draw_rounds(axes[::-1], self.rounds, _N_SET, device)
        elif name == "3d_decay":
            upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.6))
            draw.draw_decay(lower, self.decays, device)
            draw.draw_protocol(upper, self.decays, device)
        elif name == "3e_sigmoid":
            draw.draw_sigmoid(figure.subplots(), self.decays, self.decay, self.sigmoid, device)
        elif name == "3a_repeats":
            spread = self.specimen.delta_f_std
            draw.draw_repeats(figure.subplots(), self.repeats, device, spread=spread)
        else:
            by_name: dict[str, tuple[Callable[..., Any], Any]] = {
                "2a_sweep": (draw.draw_sweep, self.swept),
                "2c_set": (draw.draw_set, self.set_up),
                "2d_pulses": (draw.draw_conductance, self.pulsed),
                "2e_zoom": (draw.draw_last_pulses, self.pulsed),
                "3b_update": (draw.draw_update, self.pulse_map),
                "3c_energy": (draw.draw_pulse_energy, self.pulse_map),
            }
            into, measured = by_name[name]
            into(figure.subplots(), measured, device)

    def traces(self) -> dict[str, str]:
        """What was measured, as text of CSV files by name; `mstpn fit-device` reads four."""
        return {name: csv_text(columns) for name, columns in tables(self).items()}

    def numbers(self) -> dict[str, Any]:
        """Plain numbers, units in the names."""
        ratio = self.pulse_map.dissipated / self.pulse_map.energy
        volts, siemens_ = self.swept.voltage / volt, self.swept.conductance / siemens
        after = self.set_up.read.weight[[0, -1], 0]
        updates = np.asarray(self.repeats.first / self.device.weight_conductance)
        return {
            "device": self.device.name,
            "loop_area_volt_siemens": loop_area(np.asarray(volts), np.asarray(siemens_)).tolist(),
            "set_pulses": len(self.set_up.read.weight) - 1,
            "weight_before_and_after_set": after.tolist(),
            "weights_of_rounds": [float(r.weight[0, 0]) for r in self.rounds],
            "pulse_voltage_v": np.asarray(self.repeats.voltage / volt).tolist(),
            "delta_f_mean": updates.mean(axis=1).tolist(),
            "delta_f_std": updates.std(axis=1, ddof=1).tolist(),
            "dissipated_over_pulse_energy": [float(np.min(ratio)), float(np.max(ratio))],
            "bias_voltage_v": np.asarray(self.decays.bias_voltage / volt).tolist(),
            "decay": self.decay.mean(axis=1).tolist(),
            "decay_half_voltage_v": self.sigmoid and float(self.sigmoid.half / volt),
            "decay_slope_voltage_v": self.sigmoid and float(self.sigmoid.slope / volt),
            "assumed": [
                *(n for n, c in self.device.constants.items() if c.provenance == "assumed"),
                "delta_f_std",
                "read_noise",
            ],
        }

    def summary(self) -> str:
        """What was found, in some lines."""
        numbers = self.numbers()
        low, high = numbers["dissipated_over_pulse_energy"]
        first, last = numbers["weight_before_and_after_set"]
        turned = all(area > 0 for area in numbers["loop_area_volt_siemens"])
        updates = zip(
            numbers["pulse_voltage_v"], numbers["delta_f_mean"], numbers["delta_f_std"], strict=True
        )
        rows = [
            f"hysteresis: {'' if turned else 'not '}counter-clockwise at every sweep rate",
            f"{numbers['set_pulses']} SET pulses: W from {first:.3f} to {last:.3f}",
            "updates: " + ", ".join(f"{f:.4f} ± {std:.4f} at {v:.3g} V" for v, f, std in updates),
            "pulse energies are the device's `pulse_energy_at`, which the energy accounts charge; "
            f"the integral of V I in the simulation is {low:.2f} to {high:.2f} times that",
            self._sigmoid(),
        ]
        return "\n".join(f"- {row}" for row in rows)

    def _sigmoid(self) -> str:
        if self.sigmoid is None:
            mean, std = self.decay.mean(), self.decay.std(ddof=1)
            return f"Λ is {mean:.4f} ± {std:.4f} whatever the bias: no sigmoid is to be seen"
        half, slope = (float(v / volt) for v in (self.sigmoid.half, self.sigmoid.slope))
        given = self.device.decay_half_voltage, self.device.decay_slope_voltage
        return (
            f"sigmoid of Λ: half at {half:.4f} V, slope {slope:.4f} V; given were "
            f"{float(given[0]):.4f} and {float(given[1]):.4f} V"
        )

    def markdown(self) -> str:
        """The page; its figures lie beside it as PNG files of their names."""
        device = self.device
        names = {
            "width": f"{float(device.pulse_width / usecond):g}",
            "long": f"{float(bench.DECAY_PULSE_WIDTHS * device.pulse_width / usecond):g}",
            "read": f"{float(device.read_voltage):g} V",
            "pulse": f"{float(device.pulse_voltage):g} V",
        }
        sections = [f"# {device.name} on the bench", _ABOUT, self.summary()]
        for name, caption in _CAPTIONS.items():
            caption_text = caption.format(**names)
            sections.append(f"![{caption_text}]({name}.png)\n\n{caption_text}")
        return (
            "\n\n".join([*sections, "## What is assumed", _assumed(device, self.specimen)]) + "\n"
        )


_ABOUT = (
    "Simulated in Brian2 from the equations `VOLTAGE_DRIVEN` of "
    "`mstpn.synapses.bench.voltage_driven`, no device was measured. Protocols after Weilenmann et "
    "al. (2024); waits, sweep rates and the spread of pulses are assumed, and so are the constants "
    "listed below."
)


def _assumed(device: Memristor, specimen: Specimen) -> str:
    lines = [
        f"- `{name}` = {getattr(device, name)}: {constant.source}"
        for name, constant in device.constants.items()
        if constant.provenance == "assumed"
    ]
    spread, noise = f"{specimen.delta_f_std:g}", specimen.read_noise
    return "\n".join(
        [
            f"- `delta_f_std` = {spread}: spread of an update from cycle to cycle",
            f"- `read_noise` = {noise}: standard deviation of a read",
            "- the pulse law above `pulse_voltage`; the sigmoid of Λ below 0 V; what a voltage "
            "that is held writes",
            *lines,
        ]
    )


def measure(
    device: Memristor,
    *,
    specimen: Specimen | None = None,
    progress: Callable[[], Any] | None = None,
) -> BenchReport:
    """All measurements.

    Parameters
    ----------
    device : Memristor
    specimen : Specimen, optional
        Ideal but for `DELTA_F_STD` and `READ_NOISE` if absent.
    progress : callable, optional
        Called after every measurement.

    Raises
    ------
    ValueError
        If a decay cannot be fitted.
    """
    specimen = specimen or Specimen(delta_f_std=DELTA_F_STD, read_noise=READ_NOISE)
    seeds = iter(np.random.SeedSequence(specimen.seed).generate_state(N_MEASUREMENTS).tolist())

    def taken(protocol: Callable[..., Any]) -> Any:
        measured = protocol(device, specimen=replace(specimen, seed=next(seeds)))
        if progress is not None:
            progress()
        return measured

    decays = taken(bench.decay_under_bias)
    decay = decay_over(decays, device.decay_duration)
    return BenchReport(
        device=device,
        specimen=specimen,
        swept=taken(bench.dc_sweep),
        set_up=taken(bench.set_pulses),
        pulsed=taken(bench.short_term_pulses),
        rounds=taken(partial(bench.short_term_at_weights, n_set=_N_SET)),
        repeats=taken(bench.repeated_pulses),
        pulse_map=taken(bench.pulse_map),
        decays=decays,
        decay=decay,
        sigmoid=fit_sigmoid(decays.bias_voltage, decay),
        long_term=taken(long_term_pulses),
        power=taken(power_under_bias),
    )
