# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One memristor
#
# The device alone: its conductance, what a pulse does and costs, how fast it forgets under a
# bias, and how its long-term weight is set. First as functions of voltage, then as a Brian2
# simulation of a few synapses under a voltage protocol, compared with closed forms.
#
# The figures follow those of [Weilenmann et al., Nature Communications 15
# (2024)](https://doi.org/10.1038/s41467-024-51093-3). Not every constant is published: each one
# says where it was found, and the figures say which are *assumed*.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from brian2 import (
    Network,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    njoule,
    nsiemens,
    pjoule,
    usecond,
    volt,
)
from brian2.units import Quantity

from mstpn.analysis.device import bench_figures
from mstpn.analysis.device.bench_extraction import decay_over, fit_sigmoid
from mstpn.synapses import st_hebb
from mstpn.synapses.bench import protocols as bench
from mstpn.synapses.bench.assumed import DELTA_F_STD
from mstpn.synapses.bench.specimen import Specimen
from mstpn.synapses.bench.voltage_driven import VOLTAGE_DRIVEN
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#555555"
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
target = use_target("numpy")  # a few synapses are not worth a compiler's time

# %%
device = Memristor.from_file()
pd.set_option("display.max_colwidth", None)
pd.DataFrame(
    [
        (name, str(getattr(device, name)), constant.provenance, constant.source)
        for name, constant in device.constants.items()
    ],
    columns=["constant", "value", "provenance", "source"],
)


# %%
def marked(*names: str) -> str:
    """Constants and their provenance, for a figure's title."""
    return ", ".join(f"{name}: {device.constants[name].provenance}" for name in names)


# %% [markdown]
# ## Conductance and decay
#
# The conductance grows with the total weight, $G = G_\mathrm{offset} + \kappa\,(W + F)$. It is
# read at 0.6 V, and the same device draws $V_\mathrm{bias}^2\,G$ while a bias is held. The bias
# sets $\Lambda$, the share of $F$ that is left after one network step, by a sigmoid (Fig. 3e).

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
total = np.linspace(device.weight_min, device.weight_max, 50)
left.plot(total, device.conductance(total) / nsiemens, color=BLUE)
left.plot(0, device.offset_conductance / nsiemens, "o", color=ORANGE, label="W + F = 0")
left.set(xlabel="total weight W + F", ylabel="conductance (nS)")
left.set_title(marked("bias_power", "weight_conductance"), fontsize=7, loc="left")
left.legend()
voltage = np.linspace(device.bias_voltage_min, device.bias_voltage_max, 50)
right.plot(voltage / volt, device.decay(voltage), color=BLUE)
right.axhline(device.decay_min, color=GREY, linestyle=":", label="reachable range of Λ")
right.axhline(device.decay_max, color=GREY, linestyle=":")
right.set(xlabel="bias voltage (V)", ylabel="Λ per network step", ylim=(0, 1))
right.set_title(marked("decay_min", "decay_max", "decay_half_voltage"), fontsize=7, loc="left")
right.legend(loc="upper left", bbox_to_anchor=(0, 0.9))
plt.show()

# %% [markdown]
# ## Short-term pulses
#
# A pulse of amplitude $V$ and width $w$ moves $F$ by $\Delta F \propto V^m w$ and costs $E
# \propto V^n w$ (Figs. 3b, 3c).

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
amplitude = np.linspace(float(device.pulse_voltage_min), float(device.pulse_voltage)) * volt
for width, colour in ((25, GREEN), (50, ORANGE), (100, BLUE)):
    w = width * usecond
    left.plot(amplitude / volt, device.pulse_delta(amplitude, w), color=colour, label=f"{width} µs")
    energy = device.pulse_energy_at(amplitude, w)
    right.plot(amplitude / volt, energy / pjoule, color=colour, label=f"{width} µs")
left.set(xlabel="pulse amplitude (V)", ylabel="ΔF")
left.set_title(marked("pulse_conductance", "pulse_conductance_exponent"), fontsize=7, loc="left")
right.set(xlabel="pulse amplitude (V)", ylabel="energy of the pulse (pJ)")
right.set_title(marked("pulse_energy", "pulse_energy_exponent"), fontsize=7, loc="left")
left.legend(title="width")
plt.show()

# %% [markdown]
# ## One synapse in Brian2
#
# One presynaptic unit with a synapse for every bias voltage. `z_last` is the amplitude of a pulse
# and `Gamma * h * z_last` its $\Delta F$; with `Gamma = h = 1` the protocol is written directly
# in $\Delta F$. Time runs in 1 ms steps; how fast F decays is the device's, in seconds.

# %%
DT = 1 * ms


def synapses_under(
    pulses: TimedArray, bias_voltage: Quantity, weight: float
) -> tuple[Network, Synapses, StateMonitor]:
    """One memristor per bias voltage, all given the same pulses; F and G are recorded."""
    pre = st_hebb.get_presynaptic(1, device, DT)
    pre.namespace["pulses"] = pulses
    pre.run_regularly("z_last = pulses(t)", when="before_start", order=-1, clock=pre.clock)
    post = st_hebb.get_postsynaptic(len(bias_voltage), device, DT, clock=pre.clock)
    post.h = 1
    synapses = st_hebb.get_synapses(pre, post, device)
    st_hebb.apply_bias(synapses, device, bias_voltage=bias_voltage, weight=weight, gamma=1.0)
    monitor = StateMonitor(synapses, ("F_now", "G"), record=True, when="end", clock=pre.clock)
    return Network(pre, post, synapses, monitor), synapses, monitor


# %% [markdown]
# Three pulses of 2, 2.5 and 3 V, 100 µs each (Fig. 2d), under three bias voltages:

# %%
amplitudes, starts = np.array([2, 2.5, 3]) * volt, [100, 300, 500]
updates = np.zeros(900)
updates[starts] = device.pulse_delta(amplitudes, 100 * usecond)
bias_voltage = np.array([0.2, 0.4, 0.6]) * volt
net, synapses, monitor = synapses_under(TimedArray(updates, dt=DT), bias_voltage, weight=0.5)
net.run(len(updates) * DT)

# %% [markdown]
# $F$ is a sum of exponentials that begin at the pulses, one for each:

# %%
elapsed = np.arange(len(updates)) - np.array(starts)[:, None]  # pulse, time; in ms
time_constants = device.time_constant(bias_voltage) / ms
kernels = np.exp(-np.maximum(elapsed, 0) / time_constants[:, None, None]) * (elapsed >= 0)
expected = np.einsum("p,vpt->vt", updates[starts], kernels)
assert np.allclose(monitor.F_now, expected, rtol=0, atol=1e-14)  # float64 rounding of F < 0.1

fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for k, colour in enumerate((GREEN, ORANGE, BLUE)):
    label = f"{bias_voltage[k] / volt:.1f} V, Λ = {device.decay(bias_voltage[k]):.2f}"
    ax.plot(monitor.t / ms, monitor.G[k] / nsiemens, color=colour, label=label)
for start, volts in zip(starts, amplitudes / volt, strict=True):
    top = monitor.G[2, start] / nsiemens
    ax.annotate(f"{volts:g} V", (start - 8, top), ha="right", va="center")
ax.axhline(device.conductance(0.5) / nsiemens, color=GREY, linestyle="--", label="W alone")
ax.set(xlabel="time (ms)", ylabel="conductance (nS)")
ax.set_title(marked("pulse_conductance", "decay_half_voltage"), fontsize=7, loc="left")
ax.legend(title="bias held between pulses")
plt.show()

# %% [markdown]
# What it cost. The bias is held all the time, so it spends most; the package computes its energy
# in closed form, here against a sum over the recorded conductance:

# %%
summed = (np.sum(monitor.G, axis=1) * bias_voltage**2 * DT) / njoule
# the sum takes the conductance at the end of each 1 ms; F decays by at most DT / tau within
assert np.allclose(synapses.E_bias / njoule, summed, rtol=float(np.max(1 / time_constants)))
pd.DataFrame(
    {
        "bias voltage (V)": bias_voltage / volt,
        "pulses (nJ)": synapses.E_pulse / njoule,
        "bias (nJ)": synapses.E_bias / njoule,
        "bias, summed (nJ)": summed,
    }
)

# %% [markdown]
# ## Meta-plasticity
#
# The same pulse forgotten slowly and then fast: the bias voltage falls from 0.6 V to 0.1 V at 200
# ms.

# %%
updates = np.zeros(500)
updates[50] = device.delta_f_max
net, synapses, monitor = synapses_under(TimedArray(updates, dt=DT), [0.6] * volt, weight=0.5)
net.run(200 * ms)
st_hebb.apply_bias(synapses, device, bias_voltage=0.1 * volt)
net.run(300 * ms)

fig, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
ax.semilogy(monitor.t[50:] / ms, monitor.F_now[0, 50:], color=BLUE)
ax.axvline(200, color=GREY, linestyle=":")
ax.annotate("0.6 V held", (190, 1e-3), ha="right")
ax.annotate("0.1 V held", (210, 1e-5))
ax.set(xlabel="time (ms)", ylabel="short-term weight F", xlim=(0, 500), ylim=(1e-6, 0.2))
ax.set_title(marked("decay_half_voltage", "decay_slope_voltage"), fontsize=7, loc="left")
plt.show()

# %% [markdown]
# ## Long-term weight
#
# SET pulses, 4 V and 500 µs, raise $W$ step by step towards the upper end of the window (Fig.
# 2c). Short-term plasticity then works in the same way on the new $W$ (Fig. 2f). Pulses of other
# amplitudes, widths and of either sign move $W$ too: `device.weight_after`.

# %%
n_pulses = np.arange(101)
weights = np.array([float(device.set_weight(0.0, n)) for n in n_pulses.tolist()])

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(n_pulses, device.conductance(weights) / nsiemens, ".", color=ORANGE)
left.axhline(device.conductance_max / nsiemens, color=GREY, linestyle=":")
left.set(xlabel="SET pulses", ylabel="conductance (nS)")
left.set_title(marked("set_fraction", "conductance_max"), fontsize=7, loc="left")
updates = np.zeros(400)
updates[[50, 200]] = device.delta_f_max
for n, colour in ((0, GREEN), (10, ORANGE), (30, BLUE)):
    net, synapses, monitor = synapses_under(
        TimedArray(updates, dt=DT), [0.5] * volt, weight=weights[n]
    )
    net.run(len(updates) * DT)
    change = (monitor.G[0] - device.conductance(weights[n])) / nsiemens
    label = f"{n}: W = {weights[n]:.2f}"
    right.plot(monitor.t / ms, change + n / 10, color=colour, label=label)
right.set(xlabel="time (ms)", ylabel="change of conductance (nS), shifted", ylim=(-0.3, 6.5))
right.set_title(marked("pulse_conductance"), fontsize=7, loc="left")
right.legend(title="SET pulses before", loc="upper left")
plt.show()

# %% [markdown]
# ## On the bench
#
# Between pulses and beyond them the device is one set of equations under any voltage $V(t)$:

# %%
VOLTAGE_DRIVEN

# %% [markdown]
# One call measures, one draws: a voltage sweep with its hysteresis (Fig. 2a), the decay under
# each bias (Fig. 3d), and $\Lambda$ extracted from those decays by fitting (Fig. 3e).
# `examples/device_bench.py` writes all of the paper's device figures in this way.

# %%
swept = bench.dc_sweep(device)
decays = bench.decay_under_bias(device, specimen=Specimen(delta_f_std=DELTA_F_STD))
decay = decay_over(decays, device.decay_duration)
sigmoid = fit_sigmoid(decays.bias_voltage, decay)

fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
bench_figures.draw_sweep(axes[0], swept, device)
bench_figures.draw_decay(axes[1], decays, device)
bench_figures.draw_sigmoid(axes[2], decays, decay, sigmoid, device)
plt.show()

# %% [markdown]
# Next: 169,984 of these play Pong (`game_energy`), or a device of yours (`your_device`).
