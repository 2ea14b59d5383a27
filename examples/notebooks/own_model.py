# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # In your own Brian2 model
#
# The memristive synapse is an ordinary Brian2 `Synapses` object. Here it stands in models that have
# nothing to do with Pong: a layer of rate units in one `run`, a voltage that is changed while the
# network runs, spiking neurons with sparse connections and delays, what each spends, and the same
# in C++ standalone. The end says what is different from other synapses.

# %%
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    StateMonitor,
    ms,
    njoule,
    pF,
    second,
    seed,
    volt,
)

from mstpn.analysis.pictures.style import COLOUR, GREY
from mstpn.synapses import st_hebb
from mstpn.synapses.energy_monitor import EnergyMonitor
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.spiking import get_spiking_synapses
from mstpn.synapses.support.brian_target import use_target

target = use_target("numpy")  # some hundred synapses are not worth a compiler's time
device = Memristor.from_file()
rng = np.random.default_rng(4)
seed(4)

# %% [markdown]
# ## Rate units, and a voltage that somebody turns
#
# Twelve inputs onto three units, all to all. `feed` hands the inputs over from an array; `h` is
# what you make of the current `I`, here a tanh. A burst of inputs writes $F$; then one input in
# four stays on and reads what is left.
#
# The bias voltage is a variable like any other. Whoever changes it, here a line of Brian2 code
# after one second, changes how fast $F$ fades from then on: what $F$ and the bias energy were until
# then is settled first. That is neuromodulation of a time constant.

# %%
STEP = 50 * ms
inputs = st_hebb.get_presynaptic(12, device, STEP)
units = st_hebb.get_postsynaptic(3, device, STEP, clock=inputs.clock)
units.run_regularly("h = tanh(I/(V_read*kappa))", when="after_synapses")
synapses = st_hebb.get_synapses(inputs, units, device, offset=False)
synapses.W = "0.3*rand()"
synapses.Gamma = 0.1
synapses.V_bias = 0.6 * volt
synapses.run_regularly("V_bias = 0.6*volt - 0.45*volt*int(t >= 1*second)", dt=STEP)

pattern = np.zeros((40, 12))
pattern[2:6] = rng.random((4, 12))
pattern[6:, ::4] = 0.2
st_hebb.feed(inputs, pattern)

outputs = StateMonitor(units, "h", record=True, when="end", clock=inputs.clock)
traces = StateMonitor(synapses, "F_now", record=[1, 4, 7], when="end", clock=inputs.clock)
joules = EnergyMonitor(synapses)
Network(inputs, units, synapses, outputs, traces, joules).run(2 * second)
synapses.energy()

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
axes[0].plot(outputs.t / second, np.array(outputs.h).T, drawstyle="steps-post")
axes[0].set(xlabel="time (s)", ylabel="h of the units")
axes[1].plot(traces.t / second, np.array(traces.F_now).T, color=COLOUR["bias"])
axes[1].axvline(1, color=GREY, linestyle=":")
axes[1].set(xlabel="time (s)", ylabel="F, 0.6 V, then 0.15 V")
for term, colour in (("pulse", COLOUR["pulse"]), ("bias", COLOUR["bias"])):
    axes[2].plot(joules.t / second, joules.energy[term] / njoule, label=term, color=colour)
axes[2].set(xlabel="time (s)", ylabel="energy (nJ)")
axes[2].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Spiking neurons, sparse and delayed
#
# Forty Poisson inputs onto ten leaky neurons, one pair in three connected, each with its own delay.
# A presynaptic spike reads the device and the charge moves the membrane; a coincidence of spikes
# writes a pulse. $F$ of the synapses that brought a neuron to fire grows, and fades at rest.

# %%
seed(11)
clock = Clock(0.5 * ms)
sources = PoissonGroup(40, rates="(1 + 3*int(i < 10))*10*Hz*int(t < 1.5*second)", clock=clock)
neurons = NeuronGroup(
    10,
    "dv/dt = -v/(20*ms) : volt",
    threshold="v > 12*mV",
    reset="v = 0*mV",
    method="exact",
    clock=clock,
)
memristors = get_spiking_synapses(
    sources,
    neurons,
    device,
    effect="v_post += charge/C_m",
    namespace={"C_m": 1 * pF},
    limits=device.write_limits(),
    connect={"p": 0.33},
)
memristors.delay = "rand()*5*ms"
memristors.W, memristors.Gamma, memristors.V_bias = 0.35, 0.02, 0.5 * volt
fired = SpikeMonitor(neurons)
held = StateMonitor(memristors, "F_now", record=True, clock=Clock(10 * ms))
Network(sources, neurons, memristors, fired, held).run(2.5 * second)
memristors.energy()

# %%
busy = memristors.i[:] < 10
fig, (above, below) = plt.subplots(
    2, 1, figsize=(6.5, 3.4), sharex=True, height_ratios=(1, 2), layout="constrained"
)
above.plot(fired.t / second, fired.i, "|", color="0.2", markersize=5)
above.set(ylabel="neuron")
for mine, name, colour in ((busy, "busy inputs", COLOUR["bias"]), (~busy, "others", GREY)):
    below.plot(held.t / second, np.array(held.F_now)[mine].mean(0), label=name, color=colour)
below.axvline(1.5, color="0.8", linestyle=":")
below.set(xlabel="time (s)", ylabel="mean F of the synapses")
below.legend(frameon=False)
plt.show()

# %% [markdown]
# The inputs fall silent after 1.5 s. From there $F$ fades with the device's time constant, which
# closed form and network agree on:

# %%
fading = device.time_constant(0.5 * volt)
late = np.array(held.F_now)[busy].mean(0)
times = np.array(held.t / second)
first, last = np.searchsorted(times, (1.6, 2.4))
predicted = np.exp(-(times[last] - times[first]) / float(fading / second))
print(f"left after 0.8 s: {late[last] / late[first]:.6f}, exp(-t/tau): {predicted:.6f}")
assert np.isclose(late[last] / late[first], predicted, rtol=1e-9)

# %% [markdown]
# ## C++ standalone
#
# The same code runs as one compiled program. Assign before `run` and read after it; between two
# runs of one program `st_hebb.apply_bias` and plain assignments settle as they do here.
# `EnergyMonitor` runs in Python and cannot; `synapses.E_pulse[:]` and the other energies can be
# read at the end.

# %%
PROGRAM = """
import tempfile
from brian2 import Network, ms, set_device, volt
from mstpn.synapses import st_hebb
from mstpn.synapses.memristor import Memristor

set_device("cpp_standalone", directory=tempfile.mkdtemp())
device = Memristor.from_file()
pre = st_hebb.get_presynaptic(1, device, 50 * ms)
post = st_hebb.get_postsynaptic(1, device, 50 * ms, clock=pre.clock)
post.h = 1
synapse = st_hebb.get_synapses(pre, post, device)
synapse.V_bias, synapse.W, synapse.Gamma = 0.5 * volt, 0.8, 0.1
pre.z = 1
Network(pre, post, synapse).run(50 * ms)
print(synapse.E_read[:])
"""
print(subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True).stdout)

# %% [markdown]
# ## What is different from other synapses
#
# - Read `F_now`, not `F`: $F$ itself is brought up to date at events only. A monitor with a finer
#   step than the synapses' clock sees `F_now` decay, but no pulse before its step.
# - $z$ is what an input is in a step, `z_last` what it was in the step before: pulses belong to the
#   last step. By hand, set both before the step begins; `feed` does.
# - A delayed pulse takes $z$ and $h$ as they are when it arrives.
# - Weights, voltages and $\Gamma$ that no device can have are refused where they are assigned. Code
#   of `run_regularly` is not checked, since it may run in C++.
# - $\tau(V_\mathrm{bias})$ is the device's, in seconds. How large $\Lambda$ per step is follows
#   from the step: `device.decay(0.5*volt, STEP)`.
