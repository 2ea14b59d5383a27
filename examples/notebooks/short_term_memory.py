# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A game that needs memory
#
# In flickering Pong every frame is blanked with probability 1/2 (Hausknecht and Stone, 2015). The
# agent `pong_memory` plays it, and its output $h$ is not fed back: what it remembers is in the
# short-term weights $F$ of its memristors and nowhere else. A bias line per neuron sets how fast
# $F$ fades. This notebook looks at what the network knows of the ball while it sees nothing, what
# it knows without parts of its memory, and which voltages it has learned.
#
# `python examples/ablation.py --checkpoint pong_memory --flicker 0.5 --sticky 0` counts the points
# that the same parts are worth.

# %%
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from brian2 import volt
from numpy.typing import NDArray

from mstpn.bridge.ablation import ablated
from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import MEMORY_CHECKPOINT
from mstpn.bridge.conversion import line_voltages
from mstpn.bridge.pong import Pong
from mstpn.bridge.training.positions import positions
from mstpn.network.frames import STEP_DURATION, Flicker
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target

Array = NDArray[np.float64]
N_DECISIONS, SEED = 900, 1002
torch.set_num_threads(1)
target = use_target("numpy")  # for some seconds of a game not worth a compiler's time
device = Memristor.from_file()
checkpoint = load_checkpoint(MEMORY_CHECKPOINT)

# %% [markdown]
# ## Play
#
# The emulator shows every frame here; `Flicker` blanks what the agent sees of them. Where the ball
# really is stays known.

# %%
agent = BrianAgent(checkpoint, device, STEP_DURATION)
pong, flicker, score = Pong(), Flicker(0.5, [SEED]), 0.0
frame = pong.reset(SEED)
shown, frames, outputs = [], [], []
for _ in range(N_DECISIONS):
    seen = flicker(frame[None])[0]
    action = agent.step(seen)
    frames.append(frame)
    shown.append(seen)
    outputs.append(agent.h)
    frame, reward, done = pong.step(action)
    score += reward
    assert not done
pong.close()
ball_row, ball_column, paddle_row = positions(np.array(frames))
is_blank = np.array([not seen.any() for seen in shown])
print(f"score {score:+g} after {N_DECISIONS} decisions, {is_blank.mean():.0%} of the frames blank")

# %%
first = int(np.flatnonzero(is_blank & np.isfinite(ball_row))[20])
fig, axes = plt.subplots(1, 6, figsize=(7.2, 1.5), layout="constrained")
for ax, seen in zip(axes, shown[first - 3 : first + 3], strict=True):
    ax.imshow(seen, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()
fig.suptitle("six decisions as the agent sees them", fontsize=9)
plt.show()

# %% [markdown]
# ## What h tells of the ball
#
# One linear map from $h$ to the ball's row, fitted on two thirds of the game and tested on the
# rest, is asked after how many blank frames it still finds the ball. The other agents see the
# same frames: without short-term memory ($\Gamma = 0$), and with every $\Lambda$ at the device's
# smallest, 0.08, where 8 % of $F$ are left after a step. Two more write nothing on blank frames:
# their $F$ can only fade. A map is fitted for each of them.


# %%
def outputs_of(name: str, *, blanks_write: bool = True) -> Iterator[Array]:
    """Play an agent without one of its parts on the same frames."""
    other = BrianAgent(ablated(name, checkpoint, device, 0), device, STEP_DURATION)
    synapses = other.network.synapses
    gamma = np.array(synapses.Gamma[:])
    for seen, was_blank in zip(shown, [False, *is_blank[:-1]], strict=True):
        if not blanks_write:
            synapses.Gamma = gamma * (not was_blank)  # the last step's pulses arrive in this one
        other.step(seen)
        yield other.h


def explained(h: Array) -> Array:
    """Share of the row's variance that the map explains, by blank frames since one was seen."""
    visible = np.isfinite(ball_row)
    x = np.column_stack([h, np.ones(len(h))])
    result = np.zeros((3, len(blanks)))
    for part in range(3):
        test = np.arange(len(h)) * 3 // len(h) == part
        fit = visible & ~test
        ridge = x[fit].T @ x[fit] + np.eye(x.shape[1])
        error = x @ np.linalg.solve(ridge, x[fit].T @ ball_row[fit]) - ball_row
        for column, k in enumerate(blanks):
            at = visible & test & (since_seen == k)
            result[part, column] = 1 - np.mean(error[at] ** 2) / np.var(ball_row[at])
    return result.mean(0)


last_seen = np.maximum.accumulate(np.where(is_blank, 0, np.arange(N_DECISIONS)))
since_seen = np.arange(N_DECISIONS) - last_seen
blanks = np.arange(5)
memory = {"as it is": explained(np.array(outputs))}
for name in ("smallest Lambda", "Gamma = 0"):
    memory[name] = explained(np.array(list(outputs_of(name))))
for name in ("as it is", "smallest Lambda"):
    silent = np.array(list(outputs_of(name, blanks_write=False)))
    memory[f"{name}, blanks write nothing"] = explained(silent)
table = pd.DataFrame(memory, index=pd.Index(blanks, name="blank frames since")).T
table.round(2)

# %%
fig, ax = plt.subplots(figsize=(6.8, 3.0), layout="constrained")
for (name, shares), marker in zip(memory.items(), "os^v*", strict=True):
    ax.plot(blanks, shares, marker=marker, label=name)
ax.axhline(0, color="0.6", linewidth=0.5)
ax.set(
    xlabel="blank frames since one was seen",
    ylabel="variance of the ball's row explained",
    ylim=(-0.1, 1),
    xticks=blanks,
)
ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# Without $F$ a blank frame ends all knowledge of the ball. With it, $h$ follows the ball through
# blank frames that it does not see. That needs no slow $F$, since a blank frame writes what it
# reads, and so keeps it for the next. Where it may not, what is known lasts as long as $F$ does:
# one blank frame at the smallest $\Lambda$, several at the voltages that were learned.
#
# ## The voltages that it learned
#
# On a blank frame only the inputs of two channels of the front-end are active, always alike; what
# $F$ has stored at their synapses is what a neuron then reads. Beside each neuron's $\Lambda$
# stands the mean $\Gamma$ of those synapses.

# %%
blank = torch.zeros(1, 84, 84, dtype=torch.uint8)
is_lit = checkpoint.twin().front_end(blank)[0].numpy(force=True) > 0
print(f"{is_lit.sum()} of {len(is_lit):,} inputs are active on a blank frame")
gamma = checkpoint.tensors["layer.gamma"][:, is_lit].mean(1)
decay = checkpoint.tensors["layer.decay"][:, 0]
start = np.array(checkpoint.metadata["training"]["initial_lines"])[:, 0]
voltage = np.ravel(line_voltages(checkpoint, device) / volt)
fig, ax = plt.subplots(figsize=(4.8, 3.2), layout="constrained")
ax.plot([start, decay], [gamma, gamma], color="0.85", linewidth=0.8, zorder=0)
points = ax.scatter(decay, gamma, c=voltage, s=18)
ax.axhline(0, color="0.6", linewidth=0.5)
ax.set(
    xlabel=r"$\Lambda$ per step, line back to its start",
    ylabel=r"mean $\Gamma$, always-active inputs",
)
fig.colorbar(points, label="bias voltage (V)")
plt.show()
print(f"correlation of Lambda with Gamma {np.corrcoef(decay, gamma)[0, 1]:+.2f}, ", end="")
print(f"with its start {np.corrcoef(decay, start)[0, 1]:+.2f}")

# %% [markdown]
# Two kinds of neurons have formed. Where $\Gamma > 0$ a neuron holds on: a blank frame gives back
# the sign that it had. These forget within a step or two, so that they hold the last frame and
# not a mixture of many. Where $\Gamma < 0$ a neuron compares: what it has been is taken off what it
# sees now. These forget slowly.
#
# Next: where the joules of a game go (`game_energy`).
