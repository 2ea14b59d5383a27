"""What the page says beside its numbers."""

__all__ = ["CAPTIONS", "CLOCK", "EVEN", "OPERATION", "RATIO", "SYSTEMS"]

CAPTIONS = {
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

CLOCK = (
    "A GPU's energy grows with steps and a bias energy with seconds, so a ratio of the two needs "
    "the seconds of a step. The paper does not say them, and no reading fits all that is known of "
    "its game, so all are carried through. Energies that the paper gives for a whole game are "
    "divided by the steps that a reading gives it. The voltages stay: "
    "\N{GREEK CAPITAL LETTER LAMDA} belongs to a step, however long it is."
)
RATIO = (
    "GPU energy over the memristors' pulses and bias for the same updates; below it the interval "
    "that holds 95 % of the devices whose assumed constants were drawn anew (their ranges are at "
    "the end). Where the device is nearly the best case of its ranges, as one that needs no "
    "voltage for its smallest \N{GREEK CAPITAL LETTER LAMDA} is, the interval ends at it. GPU "
    "figures are not varied."
)
OPERATION = (
    "A memristor is charged for every synapse in every step, whether it has an input or not: it "
    "holds the short-term weight, lets it decay and learns. The operation of a processor is one "
    "synapse that passes on one event; decay, learning and idle power are not in it, or extra."
)
SYSTEMS = (
    "Ratios of systems: all of this counts for the memristors, and what a GPU's agent needs too "
    "counts, at the same cost, for both."
)
EVEN = (
    "Always, never: the memristors spend less, or more, throughout the range of the figure below."
)
