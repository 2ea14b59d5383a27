"""Recurrent PPO and A2C: advantages and losses of one rollout.

PPO: Schulman et al., arXiv 1707.06347; the form for recurrent Atari agents follows
CleanRL's `ppo_atari_lstm`. A2C: Mnih et al., ICML 2016, as in STPN's Pong agent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mstpn.bridge.training.options import Options
from mstpn.bridge.training.positions import PositionHead
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.layer import CycleNoise, State
from mstpn.synapses.joules import Charges
from mstpn.synapses.nonidealities import Deviations
from mstpn.synapses.periphery import Periphery

__all__ = ["Rollout", "advantages", "losses", "total_loss"]


@dataclass
class Rollout:
    """One rollout of T steps of B games, with what the update needs.

    Parameters
    ----------
    state : State
        h and F before the first step.
    frames : Tensor of uint8, (T, B, 84, 84)
    keep : Tensor, (T, B)
        0 where a new game starts at that step.
    actions, log_probs, values, rewards : Tensor, (T, B)
    final : Tensor, (T, B)
        1 where the return ends with that step, as it does with the game.
    next_value : Tensor, (B,)
        Of the state after the last step.
    noise : CycleNoise, optional
        Of the updates, from step 0 of the rollout.
    deviations : Deviations, optional
        Of the devices that it was played on.
    periphery : Periphery, optional
        Around them.
    returns : sequence of float
        Of the games that ended.
    positions : Tensor, (T, B, 9), optional
        What a position head is to predict.
    taught : Tensor, (T, B, A), optional
        Logarithms of the probabilities that a teacher gives the actions.
    """

    state: State
    frames: Tensor
    keep: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    rewards: Tensor
    final: Tensor
    next_value: Tensor
    noise: CycleNoise | None = None
    deviations: Deviations | None = None
    periphery: Periphery | None = None
    returns: Sequence[float] = ()
    positions: Tensor | None = None
    taught: Tensor | None = None

    def noise_of(self, which: Tensor | slice) -> CycleNoise | None:
        """That of some of the games."""
        return self.noise and self.noise._replace(keys=self.noise.keys[which])


def advantages(rollout: Rollout, discount: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimates (Schulman et al., arXiv 1506.02438), (T, B).

    Parameters
    ----------
    rollout : Rollout
    discount, gae_lambda : float
    """
    result = torch.empty_like(rollout.values)
    next_value, running = rollout.next_value, torch.zeros_like(rollout.next_value)
    for t in reversed(range(len(result))):
        alive = 1 - rollout.final[t]
        delta = rollout.rewards[t] + discount * alive * next_value - rollout.values[t]
        running = delta + discount * gae_lambda * alive * running
        result[t] = running
        next_value = rollout.values[t]
    return result


def losses(
    net: MSTPN,
    rollout: Rollout,
    advantage: Tensor,
    which: Tensor,
    options: Options,
    position_head: PositionHead | None = None,
    charges: Charges | None = None,
) -> dict[str, Tensor]:
    """Terms of the loss for whole sequences of some of the games.

    Parameters
    ----------
    net : MSTPN
    rollout : Rollout
    advantage : Tensor, (T, B)
    which : Tensor of int
        Indices of games.
    options : Options
        `algorithm`, `clip` and `energy_price`.
    position_head : PositionHead, optional
        If the rollout has `positions`.
    charges : Charges, optional
        `Charges.bare`; without it no energy is counted.
    """
    frames = rollout.frames[:, which]
    x = net.front_end(frames)
    state = rollout.state.of(which)
    keep, noise = rollout.keep[:, which], rollout.noise_of(which)
    spent = None
    if charges is None:
        h, _ = net.layer(x, state, keep, fused=True, noise=noise)
    else:
        h, _, spent = net.layer.spend(x, state, keep, charges, noise)
    logits, values = net.heads(h)
    log_probs = logits.log_softmax(2)
    chosen = log_probs.gather(2, rollout.actions[:, which, None])[..., 0]
    target = (advantage + rollout.values)[:, which]
    advantage = advantage[:, which]
    points = torch.ones(())
    if options.algorithm == "ppo":
        points = advantage.std(correction=0) + 1e-8
        advantage = (advantage - advantage.mean()) / points
        ratio = (chosen - rollout.log_probs[:, which]).exp()
        clipped = ratio.clamp(1 - options.clip, 1 + options.clip)
        policy = -torch.min(advantage * ratio, advantage * clipped).mean()
    else:
        policy = -(advantage * chosen).mean()
    terms = {
        "policy": policy,
        "value": 0.5 * functional.mse_loss(values, target),
        "entropy": -(log_probs * log_probs.exp()).sum(2).mean(),
        "mean_feature": x.mean(),
        "active_fraction": torch.count_nonzero(x.detach()) / x.numel(),
    }
    if spent is not None:
        joules = sum(spent.joules.values())
        terms |= {f"{name}_uj": 1e6 * value.detach() for name, value in spent.joules.items()}
        terms["rows"] = spent.rows.mean()
        # the policy's term is in units of `points`, too
        terms["price"] = options.energy_price * 1e3 * joules / points
    if position_head is not None and rollout.positions is not None:
        terms["position"] = position_head.error(h, rollout.positions[:, which])
    if rollout.taught is not None:
        taught = rollout.taught[:, which]
        terms["teacher"] = (taught.exp() * (taught - log_probs)).sum(2).mean()
    return terms


def total_loss(terms: dict[str, Tensor], options: Options, progress: float) -> Tensor:
    """What is minimised, `progress` from 0 to 1 through the training."""
    activity = options.activity_penalty * progress
    return (
        terms["policy"]
        + options.value_coefficient * terms["value"]
        - options.entropy_coefficient * terms["entropy"]
        + options.position_coefficient * terms.get("position", 0)
        + options.teacher_coefficient * (1 - progress) * terms.get("teacher", 0)
        + terms.get("price", 0)
        + (activity * terms["mean_feature"] if activity else 0)
    )
