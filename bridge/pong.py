"""Atari Pong as the network sees it: one 84 x 84 grey frame per decision."""

from collections.abc import Iterable
from typing import Any

import ale_py
import gymnasium
import numpy as np
from gymnasium.wrappers import AtariPreprocessing
from numpy.typing import NDArray

from mstpn.network.frames import FRAMES_PER_DECISION, Flicker

__all__ = ["N_ACTIONS", "Pong"]

N_ACTIONS = 6
_NOOP_MAX = 30

gymnasium.register_envs(ale_py)
ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


class Pong:
    """Pong with frame-skip 4, seeded no-op starts and no sticky actions by default.

    Preprocessing is gymnasium's `AtariPreprocessing`: maximum of the last two frames, grey,
    resized to 84 x 84 (Machado et al., JAIR 61, 2018).

    Parameters
    ----------
    sticky : float
        Probability that the emulator repeats the last action, in [0, 1].
    flicker : float
        Probability that a frame is blanked; see `mstpn.network.frames.Flicker`.
    render : bool
        Make `screen` available, never blanked.

    Raises
    ------
    ValueError
        If `sticky` or `flicker` is no probability.
    """

    def __init__(self, *, sticky: float = 0.0, flicker: float = 0.0, render: bool = False) -> None:
        if not 0 <= sticky <= 1:
            raise ValueError(f"sticky must lie in [0, 1], got {sticky}")
        self._blank = Flicker(flicker, [])
        game = gymnasium.make(
            "ALE/Pong-v5",
            frameskip=1,
            repeat_action_probability=sticky,
            full_action_space=False,
            render_mode="rgb_array" if render else None,
        )
        self._env = AtariPreprocessing(
            game, noop_max=_NOOP_MAX, frame_skip=FRAMES_PER_DECISION, screen_size=84
        )
        self._first_frame = 0
        self.actions: list[int] = []
        """Those of this game so far."""
        self.frames = 0
        """Emulator frames of this game since the first decision."""

    def reset(self, seed: int) -> NDArray[np.uint8]:
        """Start a game; the seed sets the no-ops, the emulator's randomness and the blanks."""
        observation, info = self._env.reset(seed=seed)
        self._first_frame = info["episode_frame_number"]
        self.frames = 0
        self.actions = []
        self._blank = Flicker(self._blank.probability, [seed])
        return self._blank(observation[None])[0]

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool]:
        """Play one decision.

        Returns
        -------
        observation : ndarray of uint8, (84, 84)
        reward : float
            +1 or -1 for a point won or lost, else 0.
        done : bool
        """
        observation, reward, terminated, truncated, info = self._env.step(action)
        self.actions.append(action)
        self.frames = info["episode_frame_number"] - self._first_frame
        return self._blank(observation[None])[0], float(reward), terminated or truncated

    def replay(self, seed: int, actions: Iterable[int]) -> tuple[NDArray[np.uint8], float, bool]:
        """Start a game and play these actions: the emulator is then where they left it.

        Seed and actions determine emulator, preprocessing and every random draw. Unlike an
        emulator's own state they are plain numbers, which no native code has to trust, and a
        game of them takes about a second.

        Returns
        -------
        observation, score, done
            After the last action.

        Raises
        ------
        ValueError
            If an action is none, or comes after the end of the game.
        """
        observation, score, done = self.reset(seed), 0.0, False
        for action in actions:
            if not 0 <= action < N_ACTIONS:
                raise ValueError(f"actions must lie in [0, {N_ACTIONS}), got {action}")
            if done:
                raise ValueError(f"actions go on after the game's end at {len(self.actions)}")
            observation, reward, done = self.step(action)
            score += reward
        return observation, score, done

    @property
    def screen(self) -> NDArray[Any]:
        """The emulator's picture, (210, 160, 3)."""
        return np.asarray(self._env.render())

    def close(self) -> None:
        """Release the emulator."""
        self._env.close()
