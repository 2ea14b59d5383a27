"""Agents trained alike but for some options: what each of them scores, and what it spends.

    python examples/train_table.py --vary energy-price=0,1,4,16,64,256 --chain \
        --out runs/prices -- --initial AGENT.safetensors --total-steps 200000
    python examples/train_table.py --vary bias-lines=synapse,neuron,input,block,array \
        --out runs/lines -- --initial AGENT.safetensors --total-steps 200000
    python examples/train_table.py --agent "F=--no-feedback" --agent "F and feedback" \
        --agent "feedback=--no-memory" --agent "neither=--no-feedback --no-memory" \
        --out runs/memory -- --flicker 0.5 --teacher AGENT.safetensors

Needs `pip install 'mstpn[train,analysis]'`. What follows `--` are options of
`mstpn train`, the same for all agents. Each agent is trained in a folder
of its own and then plays on the Brian2 network, under the conditions of its training and, where
these have sticky actions, without them too. The same command again trains and plays only what
is missing.
"""

import sys

from mstpn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["train-table", *sys.argv[1:]]))
