"""The page of a bench session: all measurements, figures and numbers from the same data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from brian2.units import Quantity, siemens, usecond, volt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mstpn.analysis.device import bench_figures as draw
from mstpn.analysis.device.bench_extraction import Sigmoid, decay_over, fit_sigmoid, loop_area
from mstpn.analysis.pictures.style import STYLE
from mstpn.synapses.bench import protocols as bench
from mstpn.synapses.bench.protocols import Decay, PulseMap
from mstpn.synapses.bench.voltage_driven import Trace
from mstpn.synapses.memristor import Memristor

__all__ = ["N_MEASUREMENTS", "BenchReport", "measure"]

Array = NDArray[np.float64]

N_MEASUREMENTS = 7
"""How often `measure` reports progress."""

_CAPTIONS = {
    "2a_sweep": "2a. Conductance against voltage, swept from 0 V to either end and back.",
    "2c_set": "2c. SET pulses raise W; F has decayed when the device is read.",
    "2d_pulses": "2d. Short-term pulses of {width} µs, the device read at {read} all along.",
    "2e_weights": "2e. The same as weights: W is constant, F decays.",
    "2f_rounds": "2f. The same on one device at several W, each after SET pulses and 240 s.",
    "3a_repeats": "3a. Updates by repeated pulses of {width} µs.",
    "3b_update": "3b. Update over amplitude and width.",
    "3c_energy": "3c. Energy of a pulse over amplitude and width.",
    "3d_decay": "3d. Decay under a constant bias after a pulse of {pulse}, 500 µs; "
    "reads at {read}.",
    "3e_sigmoid": "3e. Λ from the decays of 3d, by fitting, and the sigmoid through it.",
}

_WIDE = {"2f_rounds", "3d_decay"}


@dataclass(frozen=True)
class BenchReport:
    """All that was measured on one device; see `measure`."""

    device: Memristor
    swept: Trace
    set_up: Trace
    pulsed: Trace
    rounds: list[Trace]
    amplitude: Quantity
    repeats: Array
    pulse_map: PulseMap
    decays: Decay
    decay: Array
    sigmoid: Sigmoid

    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        device = self.device
        by_name: dict[str, Callable[[Axes], list[Artist]]] = {
            "2a_sweep": lambda axes: draw.draw_sweep(axes, self.swept, device),
            "2c_set": lambda axes: draw.draw_set(axes, self.set_up, device),
            "2d_pulses": lambda axes: draw.draw_conductance(axes, self.pulsed, device),
            "2e_weights": lambda axes: draw.draw_weights(axes, self.pulsed, device),
            "2f_rounds": lambda axes: draw.draw_rounds(axes, self.rounds, device),
            "3a_repeats": lambda axes: draw.draw_repeats(
                axes, self.amplitude, self.repeats, device
            ),
            "3b_update": lambda axes: draw.draw_update(axes, self.pulse_map, device),
            "3c_energy": lambda axes: draw.draw_pulse_energy(axes, self.pulse_map, device),
            "3d_decay": lambda axes: draw.draw_decay(axes, self.decays, device),
            "3e_sigmoid": lambda axes: draw.draw_sigmoid(
                axes, self.decays, self.decay, self.sigmoid, device
            ),
        }
        with matplotlib.rc_context(STYLE):
            found = {}
            for name, into in by_name.items():
                figure = Figure(figsize=(6.4 if name in _WIDE else 5.0, 3.4))
                into(figure.subplots())
                found[name] = figure
        return found

    def numbers(self) -> dict[str, Any]:
        """Plain numbers, units in the names."""
        ratio = self.pulse_map.dissipated / self.pulse_map.energy
        volts, siemens_ = self.swept.voltage / volt, self.swept.conductance / siemens
        after = self.set_up.read.weight[[0, -1], 0]
        return {
            "device": self.device.name,
            "loop_area_volt_siemens": loop_area(np.asarray(volts), np.asarray(siemens_)).tolist(),
            "set_pulses": len(self.set_up.read.weight) - 1,
            "weight_before_and_after_set": after.tolist(),
            "weights_of_rounds": [float(r.weight[0, 0]) for r in self.rounds],
            "pulse_voltage_v": np.asarray(self.amplitude / volt).tolist(),
            "delta_f_mean": self.repeats.mean(axis=1).tolist(),
            "delta_f_std": self.repeats.std(axis=1, ddof=1).tolist(),
            "dissipated_over_pulse_energy": [float(np.min(ratio)), float(np.max(ratio))],
            "bias_voltage_v": np.asarray(self.decays.bias_voltage / volt).tolist(),
            "decay": self.decay.mean(axis=1).tolist(),
            "decay_half_voltage_v": float(self.sigmoid.half / volt),
            "decay_slope_voltage_v": float(self.sigmoid.slope / volt),
            "assumed": [
                *(n for n, c in self.device.constants.items() if c.provenance == "assumed"),
                "delta_f_std",
            ],
        }

    def summary(self) -> str:
        """What was found, in some lines."""
        found, device = self.numbers(), self.device
        low, high = found["dissipated_over_pulse_energy"]
        first, last = found["weight_before_and_after_set"]
        turned = all(area > 0 for area in found["loop_area_volt_siemens"])
        updates = zip(
            found["pulse_voltage_v"], found["delta_f_mean"], found["delta_f_std"], strict=True
        )
        rows = [
            f"hysteresis: {'' if turned else 'not '}counter-clockwise at every sweep rate",
            f"{found['set_pulses']} SET pulses: W from {first:.3f} to {last:.3f}",
            "updates: " + ", ".join(f"{f:.4f} ± {std:.4f} at {v:g} V" for v, f, std in updates),
            "pulse energies are the device's `pulse_energy_at`, which the energy accounts charge; "
            f"the integral of V I in the simulation is {low:.2f} to {high:.2f} times that",
            f"sigmoid of Λ: half at {found['decay_half_voltage_v']:.4f} V, slope "
            f"{found['decay_slope_voltage_v']:.4f} V; given were "
            f"{float(device.decay_half_voltage):.4f} and {float(device.decay_slope_voltage):.4f} V",
        ]
        return "\n".join(f"- {row}" for row in rows)

    def markdown(self) -> str:
        """The page; its figures lie beside it as PNG files of their names."""
        device = self.device
        names = {
            "width": f"{float(device.pulse_width / usecond):g}",
            "read": f"{float(device.read_voltage):g} V",
            "pulse": f"{float(device.pulse_voltage):g} V",
        }
        sections = [f"# {device.name} on the bench", _ABOUT, self.summary()]
        for name, caption in _CAPTIONS.items():
            said = caption.format(**names)
            sections.append(f"![{said}]({name}.png)\n\n{said}")
        return "\n\n".join([*sections, "## What is assumed", _assumed(device)]) + "\n"


_ABOUT = (
    "Simulated in Brian2 from the equations `VOLTAGE_DRIVEN` of "
    "`mstpn.synapses.bench.voltage_driven`, no device was measured. Protocols after Weilenmann et "
    "al. (2024); waits, sweep rates and the spread of pulses are assumed, and so are the constants "
    "listed below."
)


def _assumed(device: Memristor) -> str:
    constants = [
        f"- `{name}` = {getattr(device, name)}: {constant.source}"
        for name, constant in device.constants.items()
        if constant.provenance == "assumed"
    ]
    return "\n".join(
        [
            f"- `delta_f_std` = {bench.DELTA_F_STD:g}: spread of an update from cycle to cycle",
            "- the pulse law above `pulse_voltage` and for sweeps of seconds; the sigmoid of Λ "
            "below 0 V; SET from `set_voltage` on",
            *constants,
        ]
    )


def measure(
    device: Memristor,
    *,
    seed: int = 0,
    progress: Callable[[], Any] | None = None,
) -> BenchReport:
    """All measurements.

    Parameters
    ----------
    device : Memristor
    seed : int
        Of the pulses' spread.
    progress : callable, optional
        Called after every measurement.

    Raises
    ------
    ValueError
        If the device cannot be simulated or a decay not fitted.
    """
    repeats_seed, decay_seed = (np.random.SeedSequence(seed).generate_state(2) >> 1).tolist()

    def taken(measured: Any) -> Any:
        if progress is not None:
            progress()
        return measured

    amplitude, repeats = taken(bench.repeated_pulses(device, seed=repeats_seed))
    decays = taken(bench.decay_under_bias(device, seed=decay_seed))
    decay = decay_over(decays, device.decay_duration)
    return BenchReport(
        device=device,
        swept=taken(bench.dc_sweep(device)),
        set_up=taken(bench.set_pulses(device)),
        pulsed=taken(bench.short_term_pulses(device)),
        rounds=taken(bench.short_term_at_weights(device)),
        amplitude=amplitude,
        repeats=repeats,
        pulse_map=taken(bench.pulse_map(device)),
        decays=decays,
        decay=decay,
        sigmoid=fit_sigmoid(decays.bias_voltage, decay),
    )
