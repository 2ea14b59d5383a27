"""From a trained checkpoint to what a device is set to: conductances and bias voltages."""

from dataclasses import replace
from typing import Any

import numpy as np
from brian2.units import Quantity, volt
from numpy.typing import NDArray

from mstpn.network.brian import LayerParameters, MSTPNNetwork
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import Checkpoint, CheckpointError
from mstpn.network.wiring import line_values
from mstpn.synapses.memristor import DECAY_ROUNDING, Memristor
from mstpn.synapses.write_limits import WriteLimits

__all__ = [
    "held_parameters",
    "layer_parameters",
    "line_voltages",
    "nearest_decay",
    "within_limits",
]


def within_limits(checkpoint: Checkpoint, device: Memristor) -> Checkpoint:
    """The agent within the limits of a device that is not the one it was trained on.

    Of the smallest and the largest update and the window of W + F those that the agent was trained
    within become the device's; an agent of ideal updates keeps them. The range of Lambda, which
    bounds that of the twin, is widened to what is held.
    """
    config = checkpoint.config
    decay = checkpoint.tensors["layer.decay"]
    ends = min(config.decay_min, float(decay.min())), max(config.decay_max, float(decay.max()))
    config = replace(config, decay_min=ends[0], decay_max=ends[1])
    if config.limits is not None:
        limits = device.write_limits(
            smallest=config.limits.delta_f_min > 0,
            largest=np.isfinite(config.limits.delta_f_max),
            window=np.isfinite(config.limits.total_max),
        )
        config = replace(config, limits=limits)
    return replace(checkpoint, config=config)


def nearest_decay(
    checkpoint: Checkpoint, device: Memristor, step_duration: Quantity = STEP_DURATION
) -> Checkpoint:
    """The agent with every Lambda that the device does not reach at the nearest that it does."""
    decay = checkpoint.tensors["layer.decay"]
    low, high = device.decay_range(step_duration)
    with np.errstate(under="ignore"):  # what float32 does not have is 0
        reached = decay.clip(np.float32(low), np.float32(high))
    return replace(checkpoint, tensors=checkpoint.tensors | {"layer.decay": reached})


def layer_parameters(
    checkpoint: Checkpoint, device: Memristor, step_duration: Quantity = STEP_DURATION
) -> LayerParameters:
    """The m-STPN layer's parameters in float64, checked against the device, within its limits.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor
    step_duration : Quantity, second
        Network step that Lambda refers to, Pong's if absent.

    Raises
    ------
    CheckpointError
        If a long-term weight or a Lambda is outside the device's range, or two synapses on one
        bias line need different voltages; the message names the tensor, the synapse and the
        limits.
    """
    weight, decay, gamma, bias = (
        checkpoint.tensors[f"layer.{name}"].astype(np.float64)
        for name in ("weight", "decay", "gamma", "bias")
    )
    _check("layer.weight", weight, device.weight_min, device.weight_max, 0.0)
    _check(
        *("layer.decay", decay, *device.decay_range(step_duration), DECAY_ROUNDING),
        "; mstpn pong --nearest-decay has it hold the nearest",
    )
    config = within_limits(checkpoint, device).config
    try:
        return LayerParameters(
            *(weight, decay, gamma, bias, config.normalisation, config.limits),
            *(config.feedback, config.bias_lines),
        )
    except ValueError as error:
        raise CheckpointError(f"layer: {error}") from error


def line_voltages(
    checkpoint: Checkpoint, device: Memristor, step_duration: Quantity = STEP_DURATION
) -> Quantity:
    """Voltage of every bias line, as `mstpn.network.wiring.lines_of` shapes them."""
    parameters = layer_parameters(checkpoint, device, step_duration)
    lines = line_values(checkpoint.config.bias_lines, parameters.decay, parameters.n_features)
    return device.bias_voltage(lines, step_duration)


def held_parameters(network: MSTPNNetwork) -> dict[str, Any]:
    """W, Lambda and Gamma as the synapses hold them, and the limits of their updates.

    `weight`, `decay` and `gamma` are (M, N), `limits` is a `WriteLimits`.

    Lambda is that of the voltage held, which differs from the checkpoint's by the rounding
    of float32 where the device's range clips it.

    Raises
    ------
    ValueError
        If the devices are not ideal: these arrays would not be all of them.
    """
    if network.nonidealities is not None:
        raise ValueError("the devices must be ideal for a ledger of every synapse")
    voltage = network.of_synapses("V_bias") * volt
    return {
        "weight": network.of_synapses("W"),
        "decay": np.asarray(network.device.decay(voltage, network.clock.dt)),
        "gamma": network.of_synapses("Gamma"),
        "limits": network.parameters.limits or WriteLimits(),
    }


def _check(
    name: str,
    value: NDArray[np.float64],
    low: float,
    high: float,
    slack: float,
    otherwise: str = "",
) -> None:
    outside = (value < low - slack) | (value > high + slack)
    if outside.any():
        row, column = (int(k) for k in np.argwhere(outside)[0])
        raise CheckpointError(
            f"{name}[{row}, {column}] = {value[row, column]:.6g} is outside the device's range "
            f"[{low:.6g}, {high:.6g}] ({int(outside.sum())} such synapses){otherwise}"
        )
