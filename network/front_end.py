"""The conv front-end in NumPy, for play: only what a frame changes is computed anew.

Two convolutions with ReLU on one 84 x 84 grey frame, flattened to 2592 features. From decision to
decision a few hundred pixels of a game change, and with them a few outputs of the convolutions.
Each output is a product of its own of one patch and the kernels, always of the same shape, so it
is the same to the last bit whichever outputs are computed beside it: features do not depend on
the frames before. `mstpn.network.twin.agent.FrontEnd` is the same in torch, for training.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["CONVOLUTIONS", "FRAME_SIZE", "N_FEATURES", "WHITE", "Convolution", "FrontEnd"]

FRAME_SIZE = 84
WHITE = 255.0
"""The grey level that enters the first convolution as 1."""


class Convolution(NamedTuple):
    """Channels in and out, and a square kernel twice as wide as its stride."""

    n_in: int
    n_out: int
    size: int
    stride: int

    def n_positions(self, n: int) -> int:
        """Along a side, on an image of this side."""
        return (n - self.size) // self.stride + 1


CONVOLUTIONS = (Convolution(1, 16, 8, 4), Convolution(16, 32, 4, 2))


def _n_features() -> int:
    n = FRAME_SIZE
    for convolution in CONVOLUTIONS:
        n = convolution.n_positions(n)
    return n**2 * CONVOLUTIONS[-1].n_out


N_FEATURES = _n_features()


class FrontEnd:
    """Features of one frame after the other, in float64.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With `front_end.conv1.weight` and so on, as a checkpoint has them.
    """

    def __init__(self, tensors: Mapping[str, NDArray[np.floating[Any]]]) -> None:
        self._frame = np.zeros((FRAME_SIZE, FRAME_SIZE, 1), np.uint8)
        self._layers: list[_Layer] = []
        image: NDArray[Any] = self._frame
        for k, (convolution, unit) in enumerate(zip(CONVOLUTIONS, (WHITE, 1.0), strict=True), 1):
            weight, bias = (tensors[f"front_end.conv{k}.{name}"] for name in ("weight", "bias"))
            self._layers.append(_Layer(convolution, image, weight / np.float64(unit), bias))
            self._layers[-1].update(np.ones(image.shape[:2], bool))  # of a black frame
            image = self._layers[-1].output

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Features in [0, inf), (2592,).

        Parameters
        ----------
        frame : ndarray of uint8, (84, 84)
        """
        changed = frame != self._frame[..., 0]
        self._frame[..., 0] = frame
        for layer in self._layers:
            changed = layer.update(changed)
        return self._layers[-1].output.transpose(2, 0, 1).ravel()


class _Layer:
    """A convolution with ReLU on an image (n, n, n_in) that others change."""

    def __init__(
        self,
        convolution: Convolution,
        image: NDArray[Any],
        weight: NDArray[np.float64],
        bias: NDArray[np.floating[Any]],
    ) -> None:
        size, self._stride = convolution.size, convolution.stride
        windows = sliding_window_view(image, (size, size, convolution.n_in))[:, :, 0]
        # (row, column, row in the patch, column in the patch, channel)
        self._patches = windows[:: self._stride, :: self._stride]
        self._weight = weight.transpose(2, 3, 1, 0).reshape(-1, convolution.n_out).copy()
        self._bias = bias.astype(np.float64)
        n = convolution.n_positions(len(image))
        self.output = np.zeros((n, n, convolution.n_out))

    def update(self, changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Compute anew what the changed pixels enter, and return what changed by that."""
        n = len(changed) // self._stride
        # a word holds the pixels of one row of a block, and a kernel covers 2 x 2 blocks
        words = changed.view(f"u{self._stride}").reshape(n, self._stride, n)
        block = np.logical_or.reduce(words, axis=1)
        rows = block[:-1] | block[1:]
        at = np.nonzero(rows[:, :-1] | rows[:, 1:])
        patches = self._patches[at].reshape(len(at[0]), 1, len(self._weight)).astype(np.float64)
        output = np.maximum((patches @ self._weight)[:, 0] + self._bias, 0)
        moved = np.zeros(self.output.shape[:2], bool)
        moved[at] = (output != self.output[at]).any(axis=1)
        self.output[at] = output
        return moved
