# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One game's energy
#
# The shipped agent plays the first twenty seconds of a game of Pong on the Brian2 network. Every
# joule is then counted from what was recorded: by term, by frame, by synapse, at the voltages
# that the synapses need or at the largest one, and against GPUs.
#
# A whole game takes a few seconds to play and goes through the same code: `python
# examples/energy_report.py --out report` writes it as a page.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from brian2 import joule, mjoule, pjoule, second

from mstpn.analysis.energy.energies import TERMS, energies, marks
from mstpn.analysis.energy.ledger import ledger
from mstpn.analysis.energy.policies import POLICIES
from mstpn.analysis.energy.recording import Recorder
from mstpn.analysis.gpu.baselines import baselines, paper_game
from mstpn.analysis.report import figures
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.conversion import held_parameters
from mstpn.bridge.pong import Pong
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target

N_DECISIONS = 300
pd.set_option("display.float_format", "{:.3g}".format)
torch.set_num_threads(1)
target = use_target("numpy")  # for some seconds of a game not worth a compiler's time

# %% [markdown]
# ## Play
#
# The agent is a conv front-end, 169,984 memristors onto 64 units in Brian2, and a linear
# head. A `Recorder` keeps the presynaptic vector $z$ and the output $h$ of every frame, from
# which all energies follow.

# %%
device = Memristor.from_file()
agent = BrianAgent(load_checkpoint(DEFAULT_CHECKPOINT), device, STEP_DURATION)
pong = Pong()
observation, score = pong.reset(seed=1002), 0.0
with (
    tempfile.TemporaryDirectory() as folder,
    Recorder(
        Path(folder, "game.nc"),
        **held_parameters(agent.network),
        step_duration=STEP_DURATION,
        attributes={"seed": "1002"},
    ) as recorder,
):
    for _ in range(N_DECISIONS):
        action = agent.step(observation)
        recorder.record(agent.network.z, agent.h)
        observation, reward, done = pong.step(action)
        score += reward
    recording = recorder.recording()
print(f"{recording.duration / second:g} s of Pong, score {score:+g}")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.4), layout="constrained")
left.imshow(pong.screen)
left.set_title("the emulator's screen")
right.imshow(observation, cmap="gray")
right.set_title("what the network sees")
for ax in (left, right):
    ax.set_axis_off()
pong.close()
plt.show()

# %% [markdown]
# ## Where the joules go
#
# Three terms: short-term *pulses*, the *bias* held between them, and *reads*, which the paper's
# estimate does not have. The voltage that the bias is charged at is a policy: *trained* is each
# synapse's own; *worst case* is the largest on all, as in the paper; *cheapest* leaves those
# without any pulse at the lowest.

# %%
held = {name: policy(recording, device) for name, policy in POLICIES.items()}
spent = {
    name: energies(policy.recording, device, policy.bias_voltage) for name, policy in held.items()
}
table = pd.DataFrame(
    {
        name: {f"{term} (mJ)": float(by_term[term] / mjoule) for term in TERMS}
        for name, by_term in spent.items()
    }
).T
table["rests on"] = marks(device)
table

# %% [markdown]
# The Brian2 network keeps its own accounts while it plays. They were summed event by event, the
# table in one pass over the recording:

# %%
for term, energy in agent.network.energy().items():
    # sums of some 1e7 rounded terms each
    assert np.isclose(energy / joule, spent["trained"][term] / joule, rtol=1e-9)
    print(f"{term:5s} {energy / mjoule:.9g} mJ in Brian2")

# %% [markdown]
# The ledger is one xarray `Dataset`: every frame, every synapse, and traces of the synapse with
# the largest updates.

# %%
accounts = ledger(recording, device, held["trained"].bias_voltage)
shown = accounts[["frame_energy", "synapse_energy", "trace_F", "trace_dF"]]
shown.attrs = {}  # else all constants of the device, with their sources
shown

# %%
figures.trace_zoom(accounts, device)

# %%
figures.pulse_energies(accounts, device)

# %%
figures.histograms(accounts, device)

# %% [markdown]
# ## Against GPUs
#
# The same number of synapse updates on a GPU, for three readings of what a GPU does: the paper's
# measured A100, one synaptic operation at a time; a fused step that streams the weights from
# memory once; and one that keeps them in the cache. A GPU's energy grows with steps and the
# memristors' with seconds, and the paper does not say how long its step is. Here it is read as
# 1/15 s, one decision.

# %%
step = max(reading.value for reading in paper_game().steps)
updates = recording.n_synapses * recording.n_frames
registry = baselines()
compared = [registry[n] for n in ("a100_fp16_best_size", "stream_hbm2_fp16", "resident_l2_fp16")]
rows = {}
for baseline in compared:
    gpu = baseline.energy(updates, step)
    rows[baseline.label] = {
        "provenance": baseline.provenance,
        "per update (pJ)": float(gpu / pjoule) / updates,
        "energy (mJ)": float(gpu / mjoule),
        **{
            f"ratio, {policy}": float(gpu / (spent[policy]["pulse"] + spent[policy]["bias"]))
            for policy in ("worst case", "trained")
        },
    }
pd.DataFrame(rows).T

# %%
worst_case = spent["worst case"]["bias"]
figures.energy_over_time(accounts, device, compared, worst_case, step)

# %% [markdown]
# The first row is the paper's comparison. The others say how much of that ratio is the
# memristors' and how much the baseline's: see `energy_report.py` for every baseline, the
# uncertainty over the assumed constants, what the paper leaves out, and where memristors and GPUs
# break even.
#
# Next: the same energies for a device of yours (`your_device`).
