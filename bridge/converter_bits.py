"""How many bits the converters of an array need: those at which an agent's actions stay.

The frames of a recorded game are shown to the torch twin once more, whose layer has converters of
b bits at its inputs or outputs; F and the feedback of h are its own. What is compared is the greedy
action of every frame with that of the game.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mstpn.bridge.agents import actions
from mstpn.bridge.conversion import within_limits
from mstpn.network.frames import STEP_DURATION
from mstpn.network.normalisation import NORM_FLOOR
from mstpn.network.twin.checkpoint import Checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.nonidealities import Nonidealities

__all__ = ["MOST_BITS", "Bits", "Shown", "bits_needed", "features_of"]

MOST_BITS = 16
_FEWEST = 2

Array = NDArray[np.float64]


class Shown(NamedTuple):
    """A recorded game.

    Parameters
    ----------
    features : ndarray, (T, n_in)
    h : ndarray, (T, N)
        Output of every frame.
    """

    features: Array
    h: Array


class Bits(NamedTuple):
    """What converters need.

    Parameters
    ----------
    inputs, outputs : int or None
        Fewest bits at which enough actions stay, the other side without a converter; None if
        16 do not suffice.
    kept_inputs, kept_outputs : dict of int to float
        Share of the actions that stay, by the bits that were tried.
    kept_both : float or None
        With both at once.
    """

    inputs: int | None
    outputs: int | None
    kept_inputs: dict[int, float]
    kept_outputs: dict[int, float]
    kept_both: float | None


def features_of(z: Array, h: Array, checkpoint: Checkpoint) -> Array:
    """Features of a recorded game, before they were normalised.

    Parameters
    ----------
    z : ndarray, (T, M)
        Presynaptic vectors.
    h : ndarray, (T, N)
        Outputs.
    checkpoint : Checkpoint

    Returns
    -------
    ndarray, (T, n_in)
        Where z was divided by its norm and no h was in it, whatever the norm is, they are of
        norm 1: that changes nothing.
    """
    config = checkpoint.config
    n_in = z.shape[1] - config.n_hidden * config.feedback
    if config.normalisation == "none" or not config.feedback:
        return z[:, :n_in]
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    sizes = (np.linalg.norm(x, axis=1) for x in (before, z[:, n_in:]))
    fed_back, seen = sizes
    norm = np.divide(fed_back, seen, out=np.ones(len(z)), where=seen > NORM_FLOOR)
    return np.asarray(z[:, :n_in] * norm[:, None])


def bits_needed(
    checkpoint: Checkpoint,
    device: Memristor,
    games: Sequence[Shown],
    share: float,
    bounds: tuple[float, float],
    progress: Callable[[], Any] = lambda: None,
) -> Bits:
    """Find the fewest bits at inputs and at outputs.

    Parameters
    ----------
    checkpoint : Checkpoint
    device : Memristor
    games : sequence of Shown
    share : float
        Of the actions that are to stay.
    bounds : (float, float)
        Largest |z| and |u| that the converters reach; u is the read current over V_read kappa
        less the offset's part.
    progress : callable
        Called after every run through the games.
    """
    net = within_limits(checkpoint, device).twin(torch.float64)
    wanted = [actions(game.h, checkpoint) for game in games]
    inp_bound, out_bound = bounds

    def kept(inputs: int | None, outputs: int | None) -> float:
        spread = Nonidealities(
            inp_res=2**inputs - 2 if inputs else 0.0,
            inp_bound=inp_bound,
            out_res=2**outputs - 2 if outputs else 0.0,
            out_bound=out_bound,
        )
        drawn = spread.draw(checkpoint.tensors["layer.weight"].T.shape, device, STEP_DURATION)
        net.layer.put_on(drawn, spread.periphery(device))
        same = [
            actions(_outputs(net.layer, game.features), checkpoint) == right
            for game, right in zip(games, wanted, strict=True)
        ]
        progress()
        return float(np.concatenate(same).mean())

    def fewest(at: Callable[[int], float]) -> tuple[int | None, dict[int, float]]:
        found: dict[int, float] = {}
        for bits in range(_FEWEST, MOST_BITS + 1):
            found[bits] = at(bits)
            if found[bits] >= share:
                return bits, found
        return None, found

    inputs, kept_inputs = fewest(lambda bits: kept(bits, None))
    outputs, kept_outputs = fewest(lambda bits: kept(None, bits))
    both = kept(inputs, outputs) if inputs and outputs else None
    return Bits(inputs, outputs, kept_inputs, kept_outputs, both)


@torch.inference_mode()
def _outputs(layer: Any, features: Array) -> Array:
    x = torch.from_numpy(np.ascontiguousarray(features))[:, None]
    keep = torch.ones(len(x), 1, dtype=x.dtype)
    h, _ = layer(x, layer.initial_state(1), keep, fused=True)
    return np.asarray(h[:, 0].numpy())
