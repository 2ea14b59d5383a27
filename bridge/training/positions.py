"""Where Pong's ball and paddle are, for two aids of a training that the agent does not keep.

The position head is an auxiliary task (Jaderberg et al., "Reinforcement learning with
unsupervised auxiliary tasks", ICLR 2017): h is to tell where ball and paddle are and will be,
so that the layer sees the ball, and remembers its motion, long before returns reward it.

The tracking penalty is for the distance between both: a lost point says nothing of how it was
lost, so an agent that wins by one practised shot, and waits for it in a corner, learns nothing
from the others. Such a penalty changes which policy is best (Ng, Harada and Russell, ICML
1999), so it falls to zero in the course of the training.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["PositionHead", "distance", "positions"]

_FIELD = slice(14, 77)
_MIDDLE_COLUMN = 42
_PADDLE_COLUMN = 74
_BALL_LEVEL = 160
_PADDLE_LEVELS = (120, 150)
_LEAST_SQUARE = 1e-6  # of 20 pixels: far below a pixel's


def positions(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Find the ball and the agent's paddle.

    Parameters
    ----------
    frames : ndarray of uint8, (n, 84, 84)
        Of Pong.

    Returns
    -------
    ndarray, (3, n)
        Row and column of the ball's centre and row of the paddle's, in pixels, rows from the
        field's upper edge; NaN where there is none to be seen.
    """
    field = frames[:, _FIELD]
    ball = field > _BALL_LEVEL
    column = field[:, :, _PADDLE_COLUMN]
    low, high = _PADDLE_LEVELS
    paddle = (low <= column) & (column <= high)
    rows, columns = (ball.sum(axis, dtype=np.uint8) for axis in (2, 1))  # at most 84: exact
    return np.stack([_centre(rows), _centre(columns), _centre(paddle)])


def _centre(counts: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return counts @ np.arange(counts.shape[1]) / counts.sum(1)


def distance(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Between the heights of paddle and ball, while the ball is in the agent's half.

    Parameters
    ----------
    frames : ndarray of uint8, (n, 84, 84)
        Of Pong.

    Returns
    -------
    ndarray, (n,)
        As a fraction of the field's height; 0 while the ball is elsewhere.
    """
    ball_row, ball_column, paddle_row = positions(frames)
    near = (ball_column > _MIDDLE_COLUMN) & (ball_column <= _PADDLE_COLUMN)
    rows = np.where(near, np.abs(ball_row - paddle_row), 0)
    return np.nan_to_num(rows) / (_FIELD.stop - _FIELD.start)


class PositionHead(nn.Linear):
    """Predicts from h the positions at the same step and at two later ones.

    Parameters
    ----------
    n_hidden : int
    """

    delays = (0, 4, 8)
    """In steps."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__(n_hidden, 3 * len(self.delays))

    @classmethod
    def targets(cls, frames: Tensor) -> Tensor:
        """What is to be predicted.

        Parameters
        ----------
        frames : Tensor of uint8, (T, B, 84, 84)
            Of one rollout.

        Returns
        -------
        Tensor, (T, B, 9)
            For each delay the three `positions`, from the field's centre, in units of 20
            pixels, which is about their spread; NaN where nothing is seen, or after the rollout.
        """
        in_pixels = positions(frames.flatten(0, 1).cpu().numpy())
        middle = np.array([31, _MIDDLE_COLUMN, 31])
        now = (in_pixels.T.reshape(*frames.shape[:2], 3) - middle) / 20
        parts = np.full((len(cls.delays), *now.shape), np.nan, np.float32)
        for part, delay in zip(parts, cls.delays, strict=True):
            part[: max(len(now) - delay, 0)] = now[delay:]
        return torch.from_numpy(np.concatenate(parts, 2)).to(frames.device)

    def error(self, h: Tensor, targets: Tensor) -> Tensor:
        """Negative log-likelihood of the targets that there are, but for a constant.

        Of a normal distribution about the prediction, whose variance is, for each of the nine,
        the batch's mean square. What can be told to a pixel weighs more than what cannot be
        told, as where the paddle will be.

        Parameters
        ----------
        h : Tensor, (T, B, N)
        targets : Tensor, (T, B, 9)
        """
        seen = targets.isfinite()
        squares = torch.where(seen, self(h) - targets, 0) ** 2
        n = seen.sum((0, 1))
        logs = (squares.sum((0, 1)) / n.clamp_min(1)).clamp_min(_LEAST_SQUARE).log()
        return 0.5 * torch.where(n > 0, logs, 0).mean()
