"""How far fixed gains are off the full solution of a crossbar's lines, on frames of a game.

    python tests/benchmarks/wires.py

Every 100th of the first 400 decisions of a game is solved anew with F as it is then; u is the read
current less that of the reference column, in units of a weight times an input.
"""

import numpy as np
from brian2.units import ohm, siemens, volt

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import DEFAULT_CHECKPOINT
from mstpn.bridge.pong import Pong
from mstpn.network.crossbar import devices_of, held_voltage
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.wires import Wires

EVERY, N_DECISIONS, SEED = 100, 400, 1000


def frames(agent: BrianAgent) -> list[tuple[np.ndarray, np.ndarray]]:
    """z and F, (M, N), of some frames."""
    pong = Pong(sticky=0.25)
    observation, found = pong.reset(SEED), []
    agent.reset(SEED)
    for k in range(1, N_DECISIONS + 1):
        observation, _, _ = pong.step(agent.step(observation))
        if k % EVERY == 0:
            network = agent.network
            at_read = network.trace.reshape(-1, network.parameters.n_hidden)  # decayed since
            found.append((network.z.copy(), at_read / network.parameters.decay.T))
    return found


def main() -> None:
    """Print a table."""
    checkpoint, device = load_checkpoint(DEFAULT_CHECKPOINT), Memristor.from_file()
    agent = BrianAgent(checkpoint, device, STEP_DURATION)
    offset, kappa = float(device.offset_conductance), float(device.weight_conductance)
    p, seen = agent.network.parameters, frames(agent)
    weight = p.weight.T
    print(
        "ohm a cell | gain: least, mean | V_bias kept: feature, recurrent | largest |error of u|:"
    )
    print("           | none, read gain | largest error of V_bias (mV)")
    for resistance in (0.1, 1, 10, 100):
        spread = Nonidealities(ir_drop_rs=resistance * ohm)
        d = devices_of(spread, p.weight, p.decay, device, STEP_DURATION)
        line = np.asarray(device.bias_voltage(p.decay.T, STEP_DURATION) / volt)
        kept = (line - d.sag) / line
        errors = []
        for z, f in seen:
            cells = np.full((len(z), p.n_hidden + 1), offset)
            cells[:, :-1] += kappa * (weight + f)
            full = np.asarray(Wires(cells * siemens, resistance * ohm).currents(z * volt))
            gained = np.column_stack([d.read_gain, d.reference_gain]) * cells
            u, with_gain, without = (
                (currents[:-1] - currents[-1]) / kappa
                for currents in (full, gained.T @ z, cells.T @ z)
            )
            held = held_voltage(line * volt, cells[:, :-1] * siemens, device, resistance * ohm)
            sag = np.abs(np.asarray(held / volt) - (line - d.sag)).max()
            errors.append((np.abs(without - u).max(), np.abs(with_gain - u).max(), 1e3 * sag))
        worst = np.max(errors, axis=0)
        print(
            f"{resistance:10g} | {d.read_gain.min():.4f}, {d.read_gain.mean():.4f} "
            f"| {kept[: p.n_features].mean():.3f}, {kept[p.n_features :].mean():.3f} "
            f"| {worst[0]:.3g}, {worst[1]:.2g} | {worst[2]:.2g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
