"""Atari Pong as the network sees it: one 84 x 84 grey frame per decision."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import ale_py
import cv2
import numpy as np
from ale_py.roms import get_rom_path
from numpy.typing import NDArray

from mstpn.network.frames import FRAMES_PER_DECISION, Flicker

__all__ = ["N_ACTIONS", "Pong"]

N_ACTIONS = 6
_MOST_FRAMES = 108_000
"""Emulator frames after which a game is cut off: half an hour."""

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


class Pong:
    """Pong with frame-skip 4, seeded no-op starts and no sticky actions by default.

    Frames are those of gymnasium's `AtariPreprocessing` on its `ALE/Pong-v5`, to the last pixel:
    maximum of the last two emulator frames, grey, resized to 84 x 84 by area (Machado et al.,
    JAIR 61, 2018). The emulator is driven here without them, which takes three quarters of the
    time.

    Parameters
    ----------
    sticky : float
        Probability that the emulator repeats the last action, in [0, 1].
    flicker : float
        Probability that a frame is blanked; see `mstpn.network.frames.Flicker`.
    noop_max : int
        Most no-ops that a game may begin with; at least one, unless this is 0.

    Raises
    ------
    ValueError
        If `sticky` or `flicker` is no probability.
    """

    def __init__(self, *, sticky: float = 0.0, flicker: float = 0.0, noop_max: int = 30) -> None:
        if not 0 <= sticky <= 1:
            raise ValueError(f"sticky must lie in [0, 1], got {sticky}")
        self._blank = Flicker(flicker, [])
        self._noop_max = noop_max
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", sticky)
        self._ale.setInt("max_num_frames_per_episode", _MOST_FRAMES)
        self._rom = cast(Path, get_rom_path("pong"))
        self._ale.loadROM(self._rom)
        self._actions = self._ale.getMinimalActionSet()
        self._last, self._before = np.zeros((2, *self._ale.getScreenDims()), np.uint8)
        self._first_frame = 0
        self.actions: list[int] = []
        """Those of this game so far."""
        self.frames = 0
        """Emulator frames of this game since the first decision."""

    def reset(self, seed: int) -> NDArray[np.uint8]:
        """Start a game; the seed sets the no-ops, the emulator's randomness and the blanks."""
        ale = self._ale
        of_noops, of_emulator = np.random.SeedSequence(seed).generate_state(2)
        ale.setInt("random_seed", of_emulator.astype(np.int32))
        ale.loadROM(self._rom)  # the seed is read here
        ale.reset_game()
        if self._noop_max:
            for _ in range(np.random.default_rng(int(of_noops)).integers(1, self._noop_max + 1)):
                ale.act(self._actions[0])
        ale.getScreenGrayscale(self._last)
        self._before.fill(0)
        self._first_frame = ale.getEpisodeFrameNumber()
        self.frames = 0
        self.actions = []
        self._blank = Flicker(self._blank.probability, [seed])
        return self._seen()

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool]:
        """Play one decision.

        Returns
        -------
        observation : ndarray of uint8, (84, 84)
        reward : float
            +1 or -1 for a point won or lost, else 0.
        done : bool
        """
        ale, reward, done = self._ale, 0.0, False
        for still in reversed(range(FRAMES_PER_DECISION)):
            reward += ale.act(self._actions[action])
            done = ale.game_over()  # also when it is cut off
            if done:
                break
            if still < 2:
                ale.getScreenGrayscale(self._before if still else self._last)
        self.actions.append(action)
        self.frames = ale.getEpisodeFrameNumber() - self._first_frame
        return self._seen(), reward, done

    def _seen(self) -> NDArray[np.uint8]:
        """What the agent sees of the last two emulator frames."""
        np.maximum(self._last, self._before, out=self._last)
        frame = cv2.resize(self._last, (84, 84), interpolation=cv2.INTER_AREA)
        return self._blank(np.asarray(frame, np.uint8)[None])[0]

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
        """The emulator's picture, (210, 160, 3), never blanked."""
        return self._ale.getScreenRGB()

    def close(self) -> None:
        """Release the emulator."""
        del self._ale
