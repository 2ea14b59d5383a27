"""A device file from your measurements, with confidence intervals.

    python examples/fit_device.py --pulses pulses.csv --decay decay.csv --power power.csv \
        --out my_device.toml --figure my_device.png
    python examples/pong_brian.py --device my_device.toml

Needs `pip install 'mstpn[analysis]'`. Any of the three tables will do; what they do not
determine is kept from the base device. The first line names the columns with their units, of
any prefix:

    pulses  voltage (V), width (us), and ΔG (nS) or ΔF, energy (pJ), or both
    decay   bias voltage (V), time (s), conductance (nS), and repeat where traces were repeated
    power   bias voltage (V), weight S or conductance (nS), power (nW)

Standard errors may stand beside what was measured, as in `ΔG error (nS)`.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["fit-device", *sys.argv[1:]]))
