"""Agents trained alike but for some options: what each of them scores, and what it spends.

    python examples/train_table.py --vary energy-price=0,1,4,16,64,256 --chain \
        --out runs/prices -- --initial AGENT.safetensors --total-steps 200000
    python examples/train_table.py --vary bias-lines=synapse,neuron,input,block,array \
        --out runs/lines -- --initial AGENT.safetensors --total-steps 200000
    python examples/train_table.py --agent "F=--no-feedback" --agent "F and feedback" \
        --agent "feedback=--no-memory" --agent "neither=--no-feedback --no-memory" \
        --out runs/memory -- --flicker 0.5 --teacher AGENT.safetensors

`mstpn train-table` is the same; its options: --help.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train-table", *sys.argv[1:]]))
