"""Pong as the network sees it, and the trainer's emulator beside it."""

import numpy as np
import oracles
import pytest
from numpy.typing import NDArray

from mstpn.bridge import pong as pong_module
from mstpn.bridge.pong import Pong
from mstpn.bridge.training.evaluate import pong_environments
from mstpn.network.frames import Flicker

Frame = NDArray[np.uint8]


def actions(n: int) -> list[int]:
    return [int(a) for a in np.random.default_rng(5).integers(0, 6, n)]


def play(pong: Pong, seed: int, n: int) -> list[Frame]:
    return [pong.reset(seed), *(pong.step(a)[0] for a in actions(n))]


def test_same_seed_same_frames_and_other_seeds_other_starts() -> None:
    pong = Pong()
    first = play(pong, 3, 50)
    np.testing.assert_array_equal(first, play(pong, 3, 50))
    np.testing.assert_array_equal(first, play(Pong(), 3, 50))
    starts = {play(pong, seed, 20)[-1].tobytes() for seed in range(8)}
    assert len(starts) > 1
    pong.close()


def test_sticky_actions_follow_the_seed() -> None:
    pong = Pong(sticky=0.25)
    np.testing.assert_array_equal(play(pong, 1, 60), play(pong, 1, 60))
    assert not np.array_equal(play(pong, 1, 60), play(Pong(), 1, 60))


@pytest.mark.parametrize("sticky", [-0.1, 1.1, float("nan")])
def test_sticky_must_be_a_probability(sticky: float) -> None:
    with pytest.raises(ValueError, match=r"sticky must lie in \[0, 1\], got"):
        Pong(sticky=sticky)


def test_blanked_frames_are_black_and_the_others_as_they_are() -> None:
    whole, flickering = (play(Pong(flicker=p), 3, 400) for p in (0.0, 0.5))
    blank = np.array([not frame.any() for frame in flickering])
    for seen, frame, dark in zip(flickering, whole, blank, strict=True):
        assert dark or np.array_equal(seen, frame)
    # 401 draws of probability 1/2: a standard deviation is 0.025
    assert 0.4 < blank.mean() < 0.6
    again = play(Pong(flicker=0.5), 3, 400)
    np.testing.assert_array_equal(flickering, again)
    other = np.array([not frame.any() for frame in play(Pong(flicker=0.5), 4, 400)])
    assert (other != blank).any()


def test_the_trainers_games_flicker_alike() -> None:
    seeds = [3, 4]
    blank, frames = Flicker(0.5, seeds), np.ones((2, 84, 84), np.uint8)
    seen = np.array([blank(frames).any((1, 2)) for _ in range(61)])
    for k, seed in enumerate(seeds):
        shown = [frame.any() for frame in play(Pong(flicker=0.5), seed, 60)]
        np.testing.assert_array_equal(seen[:, k], shown)


def test_a_game_with_blanks_is_replayed_with_the_same_blanks() -> None:
    pong = Pong(flicker=0.5, sticky=0.25)
    frames = play(pong, 9, 80)
    last, _, _ = Pong(flicker=0.5, sticky=0.25).replay(9, actions(80))
    np.testing.assert_array_equal(last, frames[-1])


@pytest.mark.parametrize("flicker", [-0.1, 1.1, float("nan")])
def test_flicker_must_be_a_probability(flicker: float) -> None:
    with pytest.raises(ValueError, match=r"flicker must lie in \[0, 1\], got"):
        Pong(flicker=flicker)


@pytest.mark.parametrize(
    ("sticky", "noop_max", "most_frames"),
    [(0.0, 30, 108_000), (0.25, 30, 108_000), (0.25, 0, 108_000), (0.25, 30, 801)],
    ids=["plain", "sticky", "no no-ops", "cut off"],
)
def test_games_are_those_of_gymnasiums_wrappers(
    sticky: float, noop_max: int, most_frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pong_module, "_MOST_FRAMES", most_frames)
    pong = Pong(sticky=sticky, noop_max=noop_max)
    environment = oracles.pong_environment(
        sticky=sticky, noop_max=noop_max, most_frames=most_frames
    )
    for seed in (11, 2**40):
        expected, info = environment.reset(seed=seed)
        first = info["episode_frame_number"]
        np.testing.assert_array_equal(pong.reset(seed), expected)
        for action in actions(400):
            expected, reward, lost, cut, info = environment.step(action)
            frame, gained, done = pong.step(action)
            np.testing.assert_array_equal(frame, expected)
            assert (gained, done) == (reward, lost or cut)
            assert pong.frames == info["episode_frame_number"] - first
            if done:
                break
        assert cut == (most_frames < 108_000)


def test_trainers_emulator_shows_what_the_bridge_shows() -> None:
    # no no-op start, so that both begin at the same frame
    vector = pong_environments(1, noop_max=0)
    start, _ = vector.reset(seed=1)
    pong = Pong(noop_max=0)
    seen = [pong.reset(1)]
    trained_on = [start[0, 0]]
    for action in actions(40):
        seen.append(pong.step(action)[0])
        trained_on.append(vector.step(np.array([action]))[0][0, 0])
    np.testing.assert_array_equal(seen, trained_on)
