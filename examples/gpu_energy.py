"""Energy and time of every synaptic operation on a CUDA GPU, as a baseline for the report.

    python examples/gpu_energy.py --out gpu.json
    python examples/energy_report.py --measured-gpu gpu.json

Each operation of the m-STPN layer runs as a kernel of its own (`unfused`, as an eager
framework does it) and the whole step compiled into as few kernels as torch can (`fused`),
in fp16 and fp32, at 2^12 to 2^24 synapses and at the network's own 169,984. Time is the
median of 100 runs between CUDA events. Energy is the board's own counter (NVML), read
around as many runs as fill a second, since it advances only every 20 to 100 ms.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["gpu-energy", *sys.argv[1:]]))
