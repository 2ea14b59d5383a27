"""Energy and time of every synaptic operation on a CUDA GPU, as a baseline for the report.

    python examples/gpu_energy.py --out gpu.json
    python examples/energy_report.py --measured-gpu gpu.json

`mstpn gpu-energy` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["gpu-energy", *sys.argv[1:]]))
