"""Rollouts of Pong: many games at once, played by the agent that is trained."""

from typing import Any

import numpy as np
import torch
from ale_py.vector_env import AtariVectorEnv
from torch import Tensor

from mstpn.bridge.training.options import Options
from mstpn.bridge.training.positions import PositionHead, distance
from mstpn.bridge.training.ppo import Rollout
from mstpn.bridge.training.teacher import Teacher
from mstpn.network.frames import STEP_DURATION, Flicker
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.layer import CycleNoise, State
from mstpn.synapses.nonidealities import Nonidealities

__all__ = ["Collector", "put_on"]


def put_on(net: MSTPN, spread: Nonidealities, options: Options) -> None:
    """Put a network on devices that are spread so."""
    shape = tuple(reversed(net.layer.weight.shape))
    drawn = spread.draw(shape, options.memristor, STEP_DURATION)
    net.layer.put_on(drawn, spread.periphery(options.memristor))


class Collector:
    """Plays on from rollout to rollout; h and F are zeroed when a game ends.

    Parameters
    ----------
    options : Options
    env : AtariVectorEnv
    net : MSTPN
        Plays; it is put on the devices of each rollout.
    teacher : Teacher, optional
    generator : torch.Generator
        Of the actions.
    step : int
        Agent steps of the training so far, from which the games' seeds follow.
    """

    def __init__(
        self,
        options: Options,
        env: AtariVectorEnv,
        net: MSTPN,
        teacher: Teacher | None,
        generator: torch.Generator,
        step: int,
    ) -> None:
        self.options, self.net, self.generator = options, net, generator
        self._env, self._teacher = env, teacher
        self._device = torch.device(options.torch_device)
        n = options.n_envs
        seeds = np.random.default_rng([options.seed, step]).integers(0, 2**31 - 1, n)
        observation, _ = env.reset(seed=seeds)
        self._flicker = Flicker(options.flicker, seeds.tolist())
        self._see(observation[:, 0])
        self._state = net.layer.initial_state(n)
        self._done = torch.zeros(n, device=self._device)
        self._game_return = np.zeros(n)

    @torch.no_grad()
    def collect(self, step: int) -> Rollout:
        """Play the next rollout, the first of its steps being this one of the training."""
        net, teacher = self.net, self._teacher
        noise = self._other_devices(step)
        start, stepper = self._state, net.layer.stepper(self._state, noise)
        watcher = net.front_end.watcher()
        columns: list[tuple[Tensor, ...]] = []
        taught: list[Tensor] = []
        returns: list[float] = []
        for _ in range(self.options.rollout_length):
            frames, keep, seen = self._frames, 1 - self._done, self._unblanked
            logits, value = net.heads(stepper.step(watcher(frames), keep))
            log_prob = logits.log_softmax(1)
            if teacher is not None:
                taught.append(teacher.log_probs(seen, keep))
            action = torch.multinomial(log_prob.exp().cpu(), 1, generator=self.generator)
            reward, final = self._act(action[:, 0], step, returns)
            action = action.to(self._device)
            chosen = log_prob.gather(1, action)[:, 0]
            columns.append((frames, keep, action[:, 0], chosen, value, reward, final, seen))
        self._state = State(*stepper.state())
        stacked: Any = [torch.stack(column) for column in zip(*columns, strict=True)]
        seen, stacked[-1] = stacked[-1], self._next_value(watcher(self._frames))
        rollout = Rollout(start, *stacked)
        rollout.noise = noise
        rollout.deviations, rollout.periphery = net.layer.deviations, net.layer.periphery
        rollout.returns = returns
        if self.options.position_coefficient:
            rollout.positions = PositionHead.targets(seen)
        if teacher is not None:
            rollout.taught = torch.stack(taught)
        return rollout

    def _next_value(self, x: Tensor) -> Tensor:
        h, _ = self.net.layer(x[None], self._state, 1 - self._done[None], fused=True)
        return self.net.heads(h[0])[1]

    def _other_devices(self, step: int) -> CycleNoise | None:
        """Go on with devices, and noise of their updates, that follow from the step."""
        o = self.options
        if not o.spread(0):
            return None
        draws = np.random.default_rng([o.seed, step, 1])
        put_on(self.net, o.spread(int(draws.integers(2**31))), o)
        keys = torch.from_numpy(draws.integers(0, 2**31, o.n_envs)).to(self._device)
        noisy = o.delta_f_std or o.w_noise
        return CycleNoise(o.delta_f_std, keys, torch.tensor(0)) if noisy else None

    def _act(self, action: Tensor, step: int, returns: list[float]) -> tuple[Tensor, Tensor]:
        """Play one decision of every game; return the rewards, and 1 where a return ends."""
        observation, reward, ended, truncated, _ = self._env.step(action.numpy())
        self._see(observation[:, 0])
        done = ended | truncated
        self._game_return += reward
        returns.extend(self._game_return[done])
        self._game_return[done] = 0
        self._done = self._to_device(done.astype(np.float32))
        final = done | (reward != 0) if self.options.points_apart else done
        shaped = self.shaped(reward, observation[:, 0], step)
        return self._to_device(shaped.astype(np.float32)), self._to_device(final.astype(np.float32))

    def shaped(self, reward: Any, observation: Any, step: int) -> Any:
        """Reward and tracking penalty, which is gone at the training's end."""
        o = self.options
        if not o.tracking_penalty:
            return reward
        penalty = o.tracking_penalty * (1 - step / o.total_steps)
        return reward - penalty * distance(observation)

    def _see(self, observation: np.ndarray) -> None:
        """Take the next frames, of which the agent sees what is not blanked."""
        self._unblanked = self._to_device(observation)
        self._frames = self._to_device(self._flicker(observation))

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array.copy()).to(self._device)
