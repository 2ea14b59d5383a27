"""The conv front-end for play, in Cython or NumPy: only what a frame changes is computed anew.

Two convolutions with ReLU on one 84 x 84 grey frame, flattened to 2592 features. From decision to
decision a few hundred pixels of a game change, and with them a few outputs of the convolutions.
Each output is a sum of its own in one order (in NumPy, one product of the same shape), so it is
the same to the last bit whichever outputs are computed beside it: features do not depend on the
frames before. `mstpn.network.twin.agent.FrontEnd` is the same in torch, for training.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mstpn.synapses.support.brian_target import compiles, extension

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
_SOURCE = Path(__file__).with_suffix(".pyx")


class FrontEnd:
    """Features of one frame after the other, in float64.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        With `front_end.conv1.weight` and so on, as a checkpoint has them.
    compiled : bool, optional
        Whether it is compiled; if absent, where Brian2's code is.
    """

    def __init__(
        self, tensors: Mapping[str, NDArray[np.floating[Any]]], compiled: bool | None = None
    ) -> None:
        # unlike any frame and its outputs: the first frame changes everything
        image = np.full((FRAME_SIZE, FRAME_SIZE, 1), np.nan)
        self._layers: list[_Layer] = []
        for k, (convolution, unit) in enumerate(zip(CONVOLUTIONS, (WHITE, 1.0), strict=True), 1):
            weight, bias = (
                tensors[f"front_end.conv{k}.{name}"].astype(np.float64)
                for name in ("weight", "bias")
            )
            by_pixel = (weight / unit).transpose(2, 3, 1, 0).reshape(-1, convolution.n_out).copy()
            n = convolution.n_positions(len(image))
            output = np.full((n, n, convolution.n_out), np.nan)
            self._layers.append(_Layer(image, by_pixel, bias, convolution.stride, output))
            image = output
        self._see = None
        if compiles() if compiled is None else compiled:
            self._see = extension(_SOURCE.read_text()).see
            sides = [len(layer.image) // layer.stride for layer in self._layers]
            self._blocks = [np.zeros((n, n), np.uint8) for n in sides]
            self._total = np.zeros(max(convolution.n_out for convolution in CONVOLUTIONS))

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Features in [0, inf), (2592,).

        Parameters
        ----------
        frame : ndarray of uint8, (84, 84)

        Raises
        ------
        ValueError
            If it is anything else.
        """
        if frame.shape != (FRAME_SIZE, FRAME_SIZE) or frame.dtype != np.uint8:
            raise ValueError(
                f"frame must be uint8 of shape (84, 84), got {frame.dtype} of {frame.shape}"
            )
        first, last = self._layers
        if self._see is not None:
            self._see(np.ascontiguousarray(frame), *first, *last[1:], self._total, *self._blocks)
        else:
            changed = frame != first.image[..., 0]
            first.image[..., 0] = frame
            _convolve(_convolve(changed, first), last)
        return last.output.transpose(2, 0, 1).ravel()


class _Layer(NamedTuple):
    """A convolution with ReLU: image (n, n, n_in), weight (pixels of a patch, n_out)."""

    image: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int
    output: NDArray[np.float64]


def _convolve(changed: NDArray[np.bool_], layer: _Layer) -> NDArray[np.bool_]:
    """Compute anew what the changed pixels enter, and return what changed by that."""
    image, weight, bias, stride, output = layer
    n, size = len(image) // stride, 2 * stride
    # a word holds the pixels of one row of a block, and a kernel covers 2 x 2 blocks
    words = changed.view(f"u{stride}").reshape(n, stride, n)
    block = np.logical_or.reduce(words, axis=1)
    rows = block[:-1] | block[1:]
    at = np.nonzero(rows[:, :-1] | rows[:, 1:])
    windows = sliding_window_view(image, (size, size, image.shape[2]))[::stride, ::stride, 0]
    patches = windows[at].reshape(len(at[0]), 1, len(weight))
    activations = np.maximum((patches @ weight)[:, 0] + bias, 0)
    moved = np.zeros(output.shape[:2], bool)
    moved[at] = (activations != output[at]).any(axis=1)
    output[at] = activations
    return moved
