"""Games of `mstpn.bridge.pong.Pong` beside gymnasium's wrappers: every frame, and the time.

    PYTHONPATH=tests taskset -c 0 python tests/benchmarks/emulator.py --games 24

Both play the same actions: held for a few decisions at random, so that the ball is met now and
then. Every second game has sticky actions. The time is that of decisions alone, in turn.
"""

import argparse
import time

import numpy as np
import oracles

from mstpn.bridge.pong import N_ACTIONS, Pong


def play(seed: int, sticky: float) -> tuple[int, float, float]:
    """Decisions of one game and the seconds of both; AssertionError where they differ."""
    pong, environment = Pong(sticky=sticky), oracles.pong_environment(sticky=sticky)
    rng, action, seconds = np.random.default_rng(seed), 0, np.zeros(2)
    np.testing.assert_array_equal(pong.reset(seed), environment.reset(seed=seed)[0])
    done = False
    while not done:
        if rng.random() < 0.2:
            action = int(rng.integers(N_ACTIONS))
        started = time.perf_counter()
        frame, reward, done = pong.step(action)
        between = time.perf_counter()
        expected, gained, lost, cut, _ = environment.step(action)
        seconds += between - started, time.perf_counter() - between
        np.testing.assert_array_equal(frame, expected)
        assert (reward, done) == (gained, lost or cut)
    return len(pong.actions), float(seconds[0]), float(seconds[1])


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="The emulator against gymnasium's wrappers.")
    parser.add_argument("--games", type=int, default=24)
    options = parser.parse_args()
    games = [play(seed, 0.25 * (seed % 2)) for seed in range(options.games)]
    decisions, direct, wrapped = np.array(games).T
    print(
        f"{len(games)} games, {decisions.sum():,.0f} decisions: every frame, reward and end equal"
    )
    for name, seconds in (("direct", direct), ("wrapped", wrapped)):
        each = 1e3 * seconds / decisions
        print(f"{name:>8}  {np.median(each):.3f} ms a decision, {each.min():.3f} at least")
    ratio = direct / wrapped
    print(f"   ratio  {np.median(ratio):.2f}, {ratio.min():.2f} to {ratio.max():.2f}")


if __name__ == "__main__":
    main()
