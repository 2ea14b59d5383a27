# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The synapse's equations
#
# One SrTiO₃ memristor is one synapse: a long-term weight $W$, a short-term weight $F$ that pulses
# move and that fades by itself, and a bias voltage that says how fast. This notebook shows the
# Brian2 equations that the package runs, the code that runs at events, what happens within one
# frame and in which order, and a `Synapses` object at work.
#
# Device: [Weilenmann et al., Nature Communications 15
# (2024)](https://doi.org/10.1038/s41467-024-51093-3). Network: [Rodriguez, Guo and Moraitis, ICML
# 2022](https://proceedings.mlr.press/v162/rodriguez22b.html).

# %%
import re
from textwrap import dedent

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from brian2 import Equations, mvolt, njoule, nsiemens, pjoule, scheduling_summary, second, volt
from IPython.display import Markdown, Math
from sympy import Symbol, latex

from mstpn.network.brian import NEURON, LayerParameters, MSTPNNetwork
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.brian_target import use_target

pd.set_option("display.float_format", "{:.3g}".format)
target = use_target("numpy")  # a few synapses are not worth a compiler's time


# %% [markdown]
# ## Equations
#
# Brian2's `Equations` typeset themselves, with units and flags. Three things are put right here:
# Brian2 writes *rad* for a quantity without unit and *F* (farad) for siemens second, and it
# leaves the names of subexpressions as they are.


# %%
def typeset(equations: Equations) -> Math:
    """Equations as LaTeX; on the right their units, and flags if there are any."""
    text = equations._repr_latex_().replace("align*", "aligned")
    text = text.replace(r"\mathrm{rad}", "1").replace(r"\mathrm{F}", r"\mathrm{S\,s}")
    text = re.sub(r"\(unit[^:]*: (.*)\)}", r"\1}", text).replace("flags: ", "")
    return Math(re.sub(r"(?m)^(\w+) &=", lambda name: f"{latex(Symbol(name[1]))} &=", text))


typeset(st_hebb.EVENT_DRIVEN)

# %% [markdown]
# $F$ is computed when an event visits the synapse and at no other time. `F_now`, `G`,
# `G_integral` and `E_bias` are closed forms of it that are exact whenever they are read: between
# two events $\int F\,dt = \tau\,(F_\mathrm{in} - F_\mathrm{now})$, where $F_\mathrm{in}$ is what
# $F$ was at the start plus all that pulses have added.
#
# The time constant is the paper's sigmoid $\Lambda(V_\mathrm{bias})$ (Fig. 3e), the share of $F$
# that is left after the device's `decay_duration` $T_\mathrm{decay}$, written as $\tau =
# T_\mathrm{decay}/\ln(1/\Lambda)$.
#
# The presynaptic and postsynaptic sides:

# %%
typeset(st_hebb.PRESYNAPTIC)

# %%
typeset(NEURON)

# %% [markdown]
# The constants come from one device file, `synapses/srtio3.toml`, each with its unit, where it
# was found and how far it can be trusted (see `one_memristor`). As the equations see them:

# %%
device = Memristor.from_file()
STEP = second / 15  # one decision of Pong: four emulator frames

namespace = st_hebb.constants(device)
known = {name: str(value) for name, value in namespace.items() if 0 < float(value) < np.inf}
pd.Series(known, name="value").to_frame()

# %% [markdown]
# ## What runs at an event
#
# A presynaptic unit with $z \ne 0$ emits `active`; `driven` fires then and one step later. On
# `driven`, every synapse of the unit runs this, in this order: the Hebbian pulse that belongs to
# the last step, then the read for this one.

# %%
Markdown(f"```python{dedent(st_hebb.WRITE)}{dedent(st_hebb.READ)}```")

# %% [markdown]
# The energy of a pulse is a power law of $|\Delta F| = |\Gamma|\,|h|\,|z|$ (Fig. 4e), hence a
# product of three powers: `h_power` and `z_power` are taken once per unit, `E_unit` once per
# synapse.
#
# ## One frame
#
# A small network: 6 features and 2 units, which also see their own last output, so 8 × 2
# synapses.

# %%
rng = np.random.default_rng(7)
shape = (2, 6 + 2)
parameters = LayerParameters(
    weight=rng.uniform(-0.5, 0.5, shape),
    decay=np.linspace(device.decay_min, device.decay_max, 16).reshape(shape),
    gamma=rng.uniform(-0.2, 0.2, shape),
    bias=np.zeros(2),
    normalisation="none",
)
network = MSTPNNetwork(parameters, device, STEP)
scheduling_summary(network.net)

# %% [markdown]
# Brian2's own table, read from top to bottom: events (`after_thresholds`),
# powers of $z$ and $h$ (`before_synapses`), pulses and reads (`synapses`), then $\tanh$
# (`after_synapses`). Nothing runs for $\tau$ and `decay`: they are computed anew only when a bias
# voltage is assigned.
#
# Pulses come before reads, so $F(t+1) = \Lambda F(t) + \Gamma\, h(t)\, z(t)^\top$ holds exactly:
# the pulse of step $t$ is not decayed before it is read at $t+1$. `step` runs one frame:

# %%
frames = rng.random((60, 6)) * (rng.random((60, 6)) < 0.4)
outputs, trace = [], []
for x in frames:
    outputs.append(network.step(x))
    trace.append(network.synapses.F_now[:])

# %% [markdown]
# The same in six lines of NumPy, without Brian2, volts or siemens:

# %%
F, h, z, expected = np.zeros(shape), np.zeros(2), np.zeros(8), []
for x in frames:
    F = parameters.decay * F + parameters.gamma * np.outer(h, z)
    z = np.concatenate([x, h])
    h = np.tanh((parameters.weight + F) @ z)
    expected.append(h)
difference = np.abs(np.array(outputs) - expected).max()
assert difference < 1e-12  # float64 rounding over 60 steps
print(f"largest difference of h: {difference:.1e}")

# %% [markdown]
# ## A `Synapses` object, live
#
# It is Brian2's, so everything can be looked at by name, with units:

# %%
synapses = network.synapses
synapses.G[:4], synapses.V_bias[:4], synapses.tau[:4]

# %%
pd.DataFrame(
    {
        "from": synapses.i[:],
        "to": synapses.j[:],
        "W": synapses.W[:],
        "V_bias (mV)": synapses.V_bias[:] / mvolt,
        "tau (s)": synapses.tau[:] / second,
        "last event (s)": synapses.lastupdate[:] / second,
        "F at last event": synapses.F[:],
        "F_now": synapses.F_now[:],
        "G (nS)": synapses.G[:] / nsiemens,
        "E_pulse (pJ)": synapses.E_pulse[:] / pjoule,
        "E_bias (nJ)": synapses.E_bias[:] / njoule,
        "E_read (pJ)": synapses.E_read[:] / pjoule,
    }
)

# %% [markdown]
# Where the last event lies some steps back, `F` is what it was then and `F_now` what it is.
# **Read `F_now`, not `F`**, in monitors too.
#
# The code that Brian2 generated from equations and event is there as well. Its outline, statement
# by statement. $F$ is brought up to date by `decay`, the share that is left after one time step,
# raised to the steps since the last event: in most events that is one multiplication.

# %%
generated = synapses.pre.codeobj.code.run
print("\n".join(re.findall("Abstract code: +(.*)", generated)))

# %% [markdown]
# Two synapses of one input that differ in their bias voltage: a high one keeps what the pulses
# wrote, a low one forgets it within a step or two.

# %%
fig, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
time = np.arange(len(frames)) * STEP / second
for k, colour in zip((6, 7), ("#d55e00", "#0072b2"), strict=True):
    label = f"{synapses.i[k]} → {synapses.j[k]}, {synapses.V_bias[k] / volt:.2f} V"
    ax.step(time, np.array(trace)[:, k], where="post", color=colour, label=label)
ax.set(xlabel="time (s)", ylabel="short-term weight F")
ax.set_title("Λ(V_bias) between its two ends: assumed", loc="left", fontsize=7)
fig.legend(title="synapse, bias voltage", loc="outside right center", frameon=False)
plt.show()

# %% [markdown]
# ## Changing it while it runs
#
# $W$, $\Gamma$, $V_\mathrm{bias}$ and $F$ may be assigned at any time, as in Brian2. What $F$ and
# the energies were until then is settled first, under the old values:

# %%
st_hebb.SETTLE

# %%
synapses.V_bias = 0.6 * volt
synapses.tau[:4]

# %% [markdown]
# A voltage that the device does not have is refused:

# %%
try:
    synapses.V_bias = 0.7 * volt
except ValueError as error:
    print(error)

# %% [markdown]
# Next: one memristor alone (`one_memristor`), a game's energy (`game_energy`), a device of yours
# (`your_device`).
