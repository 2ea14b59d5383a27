# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your device
#
# Every constant of the memristor is in one file, `synapses/srtio3.toml`, with its unit and where
# it was found. A changed copy is another device: the network, the game and the energies take it
# as it is. This notebook makes such a copy, lets it play, and counts what it would spend.

# %%
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from brian2 import mjoule, volt

from mstpn.analysis.energy.energies import TERMS, energies
from mstpn.analysis.energy.policies import trained
from mstpn.analysis.energy.recording import Recorder
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters
from mstpn.bridge.pong import Pong
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import DEFAULT_DEVICE, DeviceError, Memristor
from mstpn.synapses.support.brian_target import use_target

N_DECISIONS = 100
pd.set_option("display.float_format", "{:.3g}".format)
torch.set_num_threads(1)
target = use_target("numpy")  # for some seconds of a game not worth a compiler's time

# %% [markdown]
# ## A changed copy
#
# Any editor will do. A constant is a table with a value, a unit, a provenance and a source:

# %%
original = DEFAULT_DEVICE.read_text()
print(original[original.index("[bias_power]") : original.index("[conductance_min]")])


# %% [markdown]
# An invented device, as if it had been measured: a fifth of the conductance, and a decay that a
# bias between 0 and 0.4 V sets. The sigmoid's two constants follow from its ends; a file in which
# they contradict each other is refused.


# %%
def changed(text: str, values: Mapping[str, tuple[float, str]]) -> str:
    """A device file with other values and units, marked as measured."""
    for name, (value, unit) in values.items():
        table = f'[{name}]\nvalue = {value}\nunit = "{unit}"\nprovenance = "measured"\n'
        text, n_tables = re.subn(rf"\[{name}\]\nvalue.*\nunit.*\nprovenance.*\n", table, text)
        assert n_tables == 1, name
    return text


ours = {
    "bias_power": (0.38, "nW"),  # at W + F = 0 and 0.4 V
    "weight_conductance": (2.0, "nS"),
    "conductance_min": (0.02, "nS"),
    "conductance_max": (12.0, "nS"),
    "bias_voltage_max": (0.4, "V"),
    "decay_half_voltage": (0.2, "V"),
    "decay_slope_voltage": (0.2 / np.log(0.92 / 0.08), "V"),
    "pulse_conductance": (0.2, "nS"),
    "pulse_energy": (2.9, "pJ"),
}
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "our_device.toml")
path.write_text(changed(original, ours).replace("Cr/Pt-SrTiO3-Ti, planar, 40 nm gap", "ours"))

devices = {"SrTiO₃": Memristor.from_file(), "ours": Memristor.from_file(path)}
pd.DataFrame(
    {
        name: {
            "offset conductance": str(device.offset_conductance),
            "smallest W": f"{device.weight_min:.2f}",
            "largest W": f"{device.weight_max:.2f}",
            "largest ΔF by a pulse": f"{device.delta_f_max:g}",
            "bias for Λ = 0.5": str(device.bias_voltage(0.5)),
        }
        for name, device in devices.items()
    }
)

# %%
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for (name, device), colour in zip(devices.items(), ("#0072b2", "#d55e00"), strict=True):
    voltage = np.linspace(device.bias_voltage_min, device.bias_voltage_max)
    ax.plot(voltage / volt, device.decay(voltage), color=colour, label=name)
ax.set(xlabel="bias voltage (V)", ylabel="Λ per network step", ylim=(0, 1))
ax.set_title("SrTiO₃ between its two ends: assumed; ours: invented", fontsize=7, loc="left")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Mistakes are named
#
# A file with a mistake is refused in one line, which names the file (left out here), the field
# and what is allowed:

# %%
mistakes = {
    "wrong unit": changed(original, {"pulse_width": (100, "nV")}),
    "contradiction": changed(original, {"decay_half_voltage": (0.25, "V")}),
    "typing error": original.replace("[set_width]", "[set_witdh]"),
    "no source": original.replace('source = "Fig. 2c"\n', "", 1),
}
for mistake, text in mistakes.items():
    wrong = Path(folder.name, "wrong.toml")
    wrong.write_text(text)
    try:
        Memristor.from_file(wrong)
    except DeviceError as error:
        print(f"{mistake}: {str(error).removeprefix(f'device file {wrong}: ')}")
    else:
        raise AssertionError(mistake)


# %% [markdown]
# ## It plays
#
# The first seconds of a game on your device. It is set to the trained $W$ and $\Lambda$, so it
# plays like the other; if it has no such conductance or decay, a `CheckpointError` names the
# first synapse that it cannot make.

# %%
agent = BrianAgent(load_checkpoint(DEFAULT_CHECKPOINT), devices["ours"], STEP_DURATION)
pong = Pong()
observation = pong.reset(seed=1002)
with Recorder(
    Path(folder.name, "game.nc"),
    **held_parameters(agent.network),
    step_duration=STEP_DURATION,
    attributes={},
) as recorder:
    for _ in range(N_DECISIONS):
        action = agent.step(observation)
        recorder.record(agent.network.z, agent.h)
        observation = pong.step(action)[0]
    recording = recorder.recording()
pong.close()

# %% [markdown]
# ## What follows in energy
#
# Inputs and outputs were recorded, and a recorded game is counted for any device that makes the
# same $W$ and $\Lambda$, without playing again:


# %%
def spent(device: Memristor) -> dict[str, float]:
    """Energy of the recorded game by term, in mJ, every synapse at the voltage it needs."""
    by_term = energies(recording, device, trained(recording, device).bias_voltage)
    return {term: float(by_term[term] / mjoule) for term in TERMS}


table = pd.DataFrame({name: spent(device) for name, device in devices.items()}).T
for term, energy in agent.network.energy().items():
    # the network counted event by event: some 1e7 rounded terms each
    assert np.isclose(energy / mjoule, table.loc["ours", term], rtol=1e-9)
table.add_suffix(" (mJ)")

# %% [markdown]
# ## Which constant to measure first
#
# Each constant doubled, one at a time, all else as it is. Most of the energy is the bias on the
# offset conductance and about a fifth the pulses; reads hardly count.

# %%
device = devices["SrTiO₃"]
total = sum(spent(device).values())
change = {}
for name in (
    "bias_power",
    "weight_conductance",
    "pulse_energy",
    "pulse_conductance",
    "read_duration",
):
    doubled = replace(device, **{name: 2 * getattr(device, name)})
    label = f"{name} ({device.constants[name].provenance})"
    change[label] = 100 * (sum(spent(doubled).values()) / total - 1)

fig, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
bars = ax.barh(list(change), np.abs(list(change.values())), color="#0072b2")
ax.bar_label(bars, [f"{percent:+.3g} %" for percent in change.values()], padding=3)
ax.invert_yaxis()
ax.set(xscale="log", xlabel="change of the energy when doubled (%)", xlim=(1e-5, 2e3))
ax.spines[["top", "right"]].set_visible(False)
ax.set_title("first 100 decisions, bias at trained voltages", loc="left", fontsize=9)
plt.show()
folder.cleanup()

# %% [markdown]
# ## From measurements
#
# Tables of pulses, decay traces and power under bias, any of them, become such a file with 95 %
# confidence intervals; what they do not determine stays as it is in `--base`. Then whole games
# with it:
#
#     python examples/fit_device.py --pulses pulses.csv --decay decay.csv --power power.csv \
#         --out our_device.toml --figure our_device.png
#     python examples/pong_brian.py --device our_device.toml --ledger game.nc
#     python examples/energy_report.py --load game.nc --device our_device.toml --out report
