"""What an array for an agent would have to carry, found out and written down."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from brian2.units import Quantity, ohm, second
from tqdm import tqdm

from mstpn.analysis.array.limits import limits
from mstpn.analysis.array.page import html, text
from mstpn.analysis.array.rows import Facts, rows, verdict
from mstpn.analysis.array.traffic import together, traffic
from mstpn.analysis.energy.ledger import load_recording
from mstpn.analysis.energy.recording import Recording
from mstpn.bridge.conversion import layer_parameters, line_voltages, nearest_decay
from mstpn.bridge.converter_bits import MOST_BITS, Bits, Shown, bits_needed, features_of
from mstpn.bridge.pong import Pong
from mstpn.bridge.programming import Programming, program
from mstpn.commands.work.report import play
from mstpn.network.brian import LayerParameters
from mstpn.network.frames import STEP_DURATION
from mstpn.network.line_drop import LineDrop, line_drop, resistance_at
from mstpn.network.step_time import StepTime
from mstpn.network.twin.checkpoint import Checkpoint, load_checkpoint
from mstpn.synapses.memristor import DECAY_ROUNDING, Memristor
from mstpn.synapses.nonidealities import Nonidealities
from mstpn.synapses.programming.array import PulseSpread
from mstpn.synapses.programming.write import Method
from mstpn.synapses.support.files import atomic_write, write_json

__all__ = ["run"]


def run(options: argparse.Namespace) -> None:
    """Find out, write the page, print."""
    settings = list(options.limit)
    if options.ir_drop_rs is not None:
        settings.append(f"line_resistance={options.ir_drop_rs!r}")
    held = limits(settings)
    device, checkpoint = Memristor.from_file(options.device), load_checkpoint(options.checkpoint)
    if options.nearest_decay:
        checkpoint = nearest_decay(checkpoint, device)
    games = recordings(options, device, checkpoint)
    parameters = layer_parameters(checkpoint, device)
    with tqdm(desc="lines", unit="step", disable=None) as bar:
        carried = together([traffic(game, device, bar.update) for game in games])
        found = Facts(
            device=device,
            limits=held,
            traffic=carried,
            step=STEP_DURATION,
            bias_lines=parameters.bias_lines,
            voltages=line_voltages(checkpoint, device),
            step_time=step_time(games, parameters, device),
            **drops(
                parameters,
                device,
                held["line_resistance"].value,
                float(held["sag"].value),
                bar,
            ),
            bits=bits(checkpoint, device, games, float(held["kept_actions"].value), carried, bar),
            programming=programmed(options, checkpoint, device, bar),
            tolerance=options.tolerance,
            retention=None if options.retention is None else options.retention * second,
            endurance=options.endurance,
        )
    asked = rows(found)
    title = (
        f"{options.checkpoint.name} on {device.name}: {len(games)} "
        f"{'game' if len(games) == 1 else 'games'}, {carried.n_frames:,} steps"
    )
    path = options.out / "buildable.html"
    atomic_write(path, html(asked, title, held, device).encode())
    if options.json is not None:
        said = {"network": title, "verdict": verdict(asked)}
        games_said = [dict(game.attributes) for game in games]
        content = said | {"games": games_said, "rows": [row.to_json() for row in asked]}
        write_json(options.json, content)
    print(f"{title}\n{verdict(asked)}\n\n{text(asked)}\n\n{path}")


def recordings(
    options: argparse.Namespace, device: Memristor, checkpoint: Checkpoint
) -> list[Recording]:
    """Games of the agent, loaded or played."""
    layer = layer_parameters(checkpoint, device)
    if not options.load:
        pong = Pong(sticky=options.sticky, flicker=options.flicker)
        first, found = options.seed, []
        for k in range(options.games):
            of_game = argparse.Namespace(**vars(options) | {"seed": first + k})
            name = "game.nc" if options.games == 1 else f"game_{first + k}.nc"
            found.append(play(of_game, device, pong, name, checkpoint))
        return found
    found = [load_recording(path) for path in options.load]
    for path, game in zip(options.load, found, strict=True):
        if not np.array_equal(game.weight, layer.weight.T):
            raise ValueError(f"{path} is of another agent, give its --checkpoint")
        if not np.allclose(game.decay, layer.decay.T, rtol=0, atol=DECAY_ROUNDING):
            raise ValueError(
                f"{path} is of other Lambda, give the --device (and --nearest-decay) that it was "
                "played with"
            )
        if not np.isclose(float(game.step_duration / STEP_DURATION), 1, rtol=1e-9):
            raise ValueError(f"{path} must be of steps of {STEP_DURATION}")
    return found


def presynaptic(game: Recording) -> Any:
    """Presynaptic vectors of all frames, (T, M)."""
    return np.ascontiguousarray(game.dense(game.event_z, 0, game.n_frames).T)


def step_time(
    games: Sequence[Recording], parameters: LayerParameters, device: Memristor
) -> dict[str, float]:
    """As every game's summary has it, over all of them."""
    gamma = np.ascontiguousarray(parameters.gamma.T)
    counted = StepTime(lambda: gamma, parameters.limits, device, STEP_DURATION)
    for game in games:
        for z, h in zip(presynaptic(game), game.h, strict=True):
            counted.observe(z, h)
    return counted.summary()


def drops(
    parameters: LayerParameters,
    device: Memristor,
    resistance: Quantity,
    bound: float,
    bar: "tqdm[Any]",
) -> dict[str, Any]:
    """`sags` and `resistances` of `Facts`."""
    solved: dict[float, LineDrop] = {}

    def solve(r: float) -> LineDrop:
        if r not in solved:
            bar.set_description(f"solving the lines at {r:.3g} ohm a cell")
            solved[r] = line_drop(parameters, device, STEP_DURATION, r * ohm)
            bar.refresh()
        return solved[r]

    first = solve(float(resistance / ohm))

    def reached(name: str) -> Quantity | None:
        if not getattr(first, name):
            return None

        def sag(r: float) -> float:
            return float(getattr(solve(r), name))

        return resistance_at(bound, sag, {r: getattr(d, name) for r, d in solved.items()})

    return {
        "sags": first._asdict(),
        "resistances": {name: reached(name) for name in ("read", "bias")},
    }


def bits(
    checkpoint: Checkpoint,
    device: Memristor,
    games: Sequence[Recording],
    share: float,
    carried: Any,
    bar: "tqdm[Any]",
) -> Bits:
    """Of the converters, over the ranges that the games had."""
    bar.set_description(f"converters of 2 to {MOST_BITS} bits")
    torch.set_num_threads(1)
    shown = [Shown(features_of(presynaptic(g), g.h, checkpoint), g.h) for g in games]
    bounds = carried.z_reach, carried.u_most
    return bits_needed(checkpoint, device, shown, share, bounds, bar.refresh)


def programmed(
    options: argparse.Namespace, checkpoint: Checkpoint, device: Memristor, bar: "tqdm[Any]"
) -> dict[str, Any]:
    """Facts of W written into an array from the lower end of the window, by rows, and verified."""
    spread = PulseSpread.from_file()
    method = Method(tolerance=options.tolerance)
    how = Programming(method, spread, device.weight_min, "rows", options.seed)

    def progress(done: float) -> None:
        bar.set_description(f"programming: {done:.0%}")

    facts: dict[str, Any] = program(
        checkpoint, device, how, Nonidealities(seed=options.seed), progress
    ).about["facts"]
    return facts
