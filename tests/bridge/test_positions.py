"""Ball and paddle against the emulator's memory, and what the position head is to predict."""

import numpy as np
import torch
from scipy.stats import norm

from mstpn.bridge.pong import Pong
from mstpn.bridge.training.positions import PositionHead, distance, positions


def test_ball_and_paddle_are_found_where_the_emulator_has_them() -> None:
    # Bytes of Pong's RAM after Anand et al., "Unsupervised state representation learning in
    # Atari", NeurIPS 2019. A frame is the maximum of two screens, scaled from 210 x 160 to
    # 84 x 84: centres lie within half a step of the ball and half a pixel.
    game = Pong()
    game.reset(seed=3)
    rng = np.random.default_rng(0)
    frames, ram = [], []
    for _ in range(400):
        frames.append(game.step(int(rng.integers(6)))[0])
        ram.append(game._ale.getRAM().astype(float))
    ball_x, ball_y, paddle_y = np.array(ram)[:, [49, 54, 51]].T
    ball_row, ball_column, paddle_row = positions(np.array(frames))
    seen = np.isfinite(ball_row) & (ball_y > 0)
    assert 0.4 < seen.mean() < 0.9  # between points there is no ball
    for found, expected in ((ball_row, ball_y * 84 / 210), (ball_column, ball_x * 84 / 160)):
        offset = (found - expected)[seen]
        assert np.abs(offset - np.median(offset)).max() < 2
    # At the field's edges the paddle is hidden by up to a half of its 16 screen rows.
    offset = paddle_row - paddle_y * 84 / 210
    assert np.abs(offset - np.median(offset)).max() < 0.5 * 16 * 84 / 210 + 0.5
    far = seen & (ball_x < 120)
    assert far.any()
    assert not distance(np.array(frames))[far].any()
    near = seen & (ball_x > 135) & (ball_x < 185)
    expected_distance = np.abs(ball_row - paddle_row)[near] / 63
    np.testing.assert_allclose(distance(np.array(frames))[near], expected_distance)


def test_the_head_is_to_predict_where_ball_and_paddle_are_and_will_be() -> None:
    # Two games of 10 frames, the ball 1 row lower in every frame, and gone from game 1 at step 9
    frames = torch.full((10, 2, 84, 84), 87, dtype=torch.uint8)
    frames[:, :, 14 + 30 : 14 + 33, 74] = 147
    for t in range(10):
        frames[t, :, 14 + t, 62] = 236
    frames[9, 1, 14 + 9, 62] = 87
    head = PositionHead(4)
    targets = head.targets(frames)
    for t in range(10):
        for game in range(2):
            for k, delay in enumerate((0, 4, 8)):
                got = targets[t, game, 3 * k : 3 * k + 3].numpy()
                then = t + delay
                if then > 9:
                    assert np.isnan(got).all()
                    continue
                ball = [np.nan, np.nan] if (game, then) == (1, 9) else [then - 31, 62 - 42]
                np.testing.assert_allclose(got, np.array([*ball, 0]) / 20)
    h = torch.randn(10, 2, 4, generator=torch.Generator().manual_seed(0))
    weight, bias = (p.detach().numpy() for p in (head.weight, head.bias))
    error = h.numpy() @ weight.T + bias - targets.numpy()
    spread = np.sqrt(np.nanmean(error**2, axis=(0, 1)))
    expected = -np.nanmean(norm.logpdf(error, scale=spread), axis=(0, 1)) - norm.entropy()
    # 20 float32 squares of order 1
    np.testing.assert_allclose(head.error(h, targets).item(), expected.mean(), atol=1e-5)
    nothing = torch.full_like(targets, torch.nan)
    assert head.error(h, nothing).item() == 0
