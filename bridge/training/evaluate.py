"""Greedy games of a torch twin, many at once, in float32."""

import numpy as np
import torch
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from mstpn.network.frames import Flicker
from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.layer import CycleNoise

__all__ = ["evaluate", "pong_environments"]


def pong_environments(
    n: int, *, sticky: float = 0.0, noop_max: int = 30, n_threads: int = 0
) -> AtariVectorEnv:
    """`n` games of Pong, single grey frames, as `mstpn.bridge.pong.Pong` shows them.

    On `n_threads` threads, 0 for one on each core, which changes no game.
    """
    return AtariVectorEnv(
        "pong",
        n,
        num_threads=n_threads,
        stack_num=1,
        noop_max=noop_max,
        use_fire_reset=False,
        repeat_action_probability=sticky,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


@torch.inference_mode()
def evaluate(
    net: MSTPN,
    n_games: int,
    seed: int,
    *,
    sticky: float = 0.0,
    flicker: float = 0.0,
    max_decisions: int = 5000,
    delta_f_std: float = 0.0,
) -> NDArray[np.float64]:
    """Play `n_games` greedy games side by side.

    Parameters
    ----------
    net : MSTPN
        In float32, on any device; on other memristors, and with what stands around them, if put
        on them.
    n_games : int
    seed : int
        Sets the starts and the emulators' randomness.
    sticky : float
        Probability that the emulator repeats the last action.
    flicker : float
        Probability that a frame is blanked.
    max_decisions : int
        A game still going on then, in a rally without end, counts as it stands.
    delta_f_std : float
        Spread of updates from pulse to pulse, relative; each game has its own noise.

    Returns
    -------
    ndarray, (n_games,)
        Return of each game.
    """
    env = pong_environments(n_games, sticky=sticky)
    seeds = np.random.default_rng(seed).integers(0, 2**31 - 1, n_games)
    observation, _ = env.reset(seed=seeds)
    blank = Flicker(flicker, seeds.tolist())
    state = net.layer.initial_state(n_games)
    keep = torch.ones(n_games, device=state.h.device)
    noise = None
    around = net.layer.periphery
    if delta_f_std > 0 or (around is not None and around.w_noise > 0):
        keys = torch.from_numpy(seeds.astype(np.int64)).to(keep.device)
        noise = CycleNoise(delta_f_std, keys, torch.tensor(0))
    stepper, watcher = net.layer.stepper(state, noise), net.front_end.watcher()
    returns, playing = np.zeros(n_games), np.ones(n_games, bool)
    for _ in range(max_decisions):
        if not playing.any():
            break
        frames = torch.from_numpy(blank(observation[:, 0].copy()))
        h = stepper.step(watcher(frames.to(keep.device)), keep)
        actions = net.action_head(h).argmax(1).cpu().numpy()
        observation, rewards, ended, truncated, _ = env.step(actions)
        returns += np.where(playing, rewards, 0)
        playing &= ~(ended | truncated)
    env.close()
    return returns
