"""The conv front-end on the CPU for many games at once: only what a frame changes is computed.

From decision to decision a few hundred pixels of a game change, and with them a few outputs of
the convolutions; what stays is copied. Each output is one sum in one order, so that it is the
same to the last bit whichever outputs are computed beside it. On the way back only features
with a gradient are visited. Images are kept with their channels last: a kernel's patch is a few
stretches of memory. `mstpn.network.front_end` is the same for play.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mstpn.network.front_end import CONVOLUTIONS, FRAME_SIZE, N_FEATURES
from mstpn.network.twin.threads import N_PARTS, share_threads
from mstpn.synapses.compiled import compiled

__all__ = ["FusedFrontEnd", "Watcher"]

Array = NDArray[Any]
Parameters = tuple[Tensor, Tensor, Tensor, Tensor]
"""Weight and bias of the first convolution and of the second, as torch has them."""

_ONE, _TWO = CONVOLUTIONS
_SIDE_1 = _ONE.n_positions(FRAME_SIZE)
_SIDE_2 = _TWO.n_positions(_SIDE_1)
_OUT_1, _SIZE_1, _STRIDE_1 = _ONE.n_out, _ONE.size, _ONE.stride
_OUT_2, _SIZE_2, _STRIDE_2 = _TWO.n_out, _TWO.size, _TWO.stride
_PATCH_1, _STRETCH = _SIZE_1**2, _SIZE_2 * _OUT_1
_PATCH_2 = _SIZE_2 * _STRETCH
_BLOCKS_1, _BLOCKS_2 = FRAME_SIZE // _STRIDE_1, _SIDE_1 // _STRIDE_2
_fast = numba.njit(fastmath={"reassoc", "contract", "nsz", "arcp"})


@_fast
def _fold(pixels: Array, blocks: Array, row: int) -> None:
    """Mark the blocks of a row that hold a marked pixel."""
    for j in range(_BLOCKS_1):
        blocks[row, j] = 0
    for j in range(FRAME_SIZE):
        blocks[row, j // _STRIDE_1] |= pixels[j]


@_fast
def _compare(frame: Array, image: Array, moved: Array, everything: bool, changed: Array) -> None:
    """Bring the image up to a frame, and mark the blocks in which a pixel changed."""
    for row in range(_BLOCKS_1):
        moved[:] = everything
        for i in range(row * _STRIDE_1, (row + 1) * _STRIDE_1):
            for j in range(FRAME_SIZE):
                moved[j] |= frame[i, j] != image[i, j]
            for j in range(FRAME_SIZE):
                image[i, j] = frame[i, j]
        _fold(moved, changed, row)


@_fast
def _touches(changed: Array, row: int, column: int) -> bool:
    """Whether any of the four blocks under a kernel changed."""
    above = changed[row, column] | changed[row, column + 1]
    return (above | changed[row + 1, column] | changed[row + 1, column + 1]) != 0


@_fast
def _convolve_1(
    image: Array,
    changed: Array,
    zero: Any,
    unit: Any,
    weight: Array,
    bias: Array,
    patch: Array,
    first: Array,
    moved: Array,
) -> None:
    moved[:] = 0
    for row in range(_SIDE_1):
        for column in range(_SIDE_1):
            if not _touches(changed, row, column):
                continue
            for i in range(_SIZE_1):
                for j in range(_SIZE_1):
                    level = patch.dtype.type(image[row * _STRIDE_1 + i, column * _STRIDE_1 + j])
                    patch[i * _SIZE_1 + j] = (level - zero) / unit
            for out in range(_OUT_1):
                total = bias[out]
                for k in range(_PATCH_1):
                    total += weight[out, k] * patch[k]
                value = max(total, patch.dtype.type(0))
                if value != first[row, column * _OUT_1 + out]:
                    first[row, column * _OUT_1 + out] = value
                    moved[row // _STRIDE_2, column // _STRIDE_2] = 1


@_fast
def _patch_of(first: Array, row: int, column: int, patch: Array) -> None:
    """Write what the second convolution sees at a position."""
    top, left = row * _STRIDE_2, column * _STRIDE_2 * _OUT_1
    for i in range(_SIZE_2):
        for k in range(_STRETCH):
            patch[i * _STRETCH + k] = first[top + i, left + k]


@_fast
def _convolve_2(
    first: Array, changed: Array, weight: Array, bias: Array, patch: Array, features: Array
) -> None:
    for row in range(_SIDE_2):
        for column in range(_SIDE_2):
            if not _touches(changed, row, column):
                continue
            _patch_of(first, row, column, patch)
            for out in range(_OUT_2):
                total = bias[out]
                for k in range(_PATCH_2):
                    total += weight[out, k] * patch[k]
                at = (out * _SIDE_2 + row) * _SIDE_2 + column
                features[at] = max(total, features.dtype.type(0))


@compiled(parallel=True, nogil=True)
def _see(
    frames: Array,
    image: Array,
    begun: bool,
    scale: tuple[Any, Any],
    weight_1: Array,
    bias_1: Array,
    weight_2: Array,
    bias_2: Array,
    first: Array,
    features: Array,
) -> None:
    """Bring outputs up to frames, one after the other.

    Parameters
    ----------
    frames : (T, B, 84, 84) of uint8
    image : (B, 84, 84) of uint8
        The frame before; brought up to the last one.
    begun : bool
        Whether there was one.
    scale : two floats
        `PixelScale`.
    weight_1, bias_1 : (16, 64) and (16,)
    weight_2, bias_2 : (32, 256) and (32,)
        Channels of a pixel in a row.
    first : (T or 1, B, 20, 320)
        Outputs of the first convolution after each frame, or as they are now.
    features : (T or 1, B, 2592)
    """
    kind = first.dtype.type
    zero, unit = kind(scale[0]), kind(scale[1])
    for b in numba.prange(frames.shape[1]):
        changed = np.zeros((_BLOCKS_1, _BLOCKS_1), np.uint8)
        moved = np.zeros((_BLOCKS_2, _BLOCKS_2), np.uint8)
        patch_1, patch_2 = np.empty(_PATCH_1, first.dtype), np.empty(_PATCH_2, first.dtype)
        pixels = np.empty(FRAME_SIZE, np.uint8)
        for t in range(len(frames)):
            at = t % len(first)
            if at > 0:
                first[at, b] = first[at - 1, b]
                features[at, b] = features[at - 1, b]
            everything = t == 0 and not begun
            _compare(frames[t, b], image[b], pixels, everything, changed)
            outputs = first[at, b]
            _convolve_1(*(image[b], changed, zero, unit, weight_1, bias_1, patch_1, outputs, moved))
            if everything:
                moved[:] = 1
            _convolve_2(outputs, moved, weight_2, bias_2, patch_2, features[at, b])


@_fast
def _add_to_weight(g: Array, patches: Array, sums: Array) -> None:
    """Add to gradients of a weight, and of the bias in the last column, from those of outputs.

    Parameters
    ----------
    g : (4, outputs)
        At four positions.
    patches : (4, pixels)
    sums : (outputs, pixels + 1)
    """
    n_pixels = patches.shape[1]
    for out in range(g.shape[1]):
        a, b, c, d = g[0, out], g[1, out], g[2, out], g[3, out]
        if a == 0 and b == 0 and c == 0 and d == 0:
            continue
        for k in range(n_pixels):
            of_two = a * patches[0, k] + b * patches[1, k]
            sums[out, k] += of_two + (c * patches[2, k] + d * patches[3, k])
        sums[out, n_pixels] += (a + b) + (c + d)


@_fast
def _to_patch(g: Array, n: int, at: Array, n_active: int, weight: Array, dpatch: Array) -> None:
    """Write the gradient of a patch from those of its active outputs, g[n, at]."""
    zero = g.dtype.type(0)
    dpatch[:] = 0
    for start in range(0, n_active, 4):
        last = n_active - 1
        a, b = at[start], at[min(start + 1, last)]
        c, d = at[min(start + 2, last)], at[min(start + 3, last)]
        g_a, g_b = g[n, a], g[n, b] if start + 1 <= last else zero
        g_c = g[n, c] if start + 2 <= last else zero
        g_d = g[n, d] if start + 3 <= last else zero
        for k in range(len(dpatch)):
            of_two = g_a * weight[a, k] + g_b * weight[b, k]
            dpatch[k] += of_two + (g_c * weight[c, k] + g_d * weight[d, k])


@_fast
def _back_through_2(
    gradient: Array,
    features: Array,
    first: Array,
    weight: Array,
    masked: Array,
    at: Array,
    g: Array,
    patches: Array,
    dpatch: Array,
    dfirst: Array,
    sums: Array,
) -> None:
    """Add to the gradients of the parameters, and write that of the first's outputs."""
    zero, n = g.dtype.type(0), 0
    for feature in range(N_FEATURES):
        masked[feature] = gradient[feature] if features[feature] > 0 else zero
    dfirst[:] = 0
    for position in range(_SIDE_2**2):
        n_active = 0
        for out in range(_OUT_2):
            g[n, out] = masked[out * _SIDE_2**2 + position]
            at[n_active] = out
            n_active += g[n, out] != 0
        if n_active == 0:
            continue
        row, column = position // _SIDE_2, position % _SIDE_2
        _patch_of(first, row, column, patches[n])
        _to_patch(g, n, at, n_active, weight, dpatch)
        top, left = row * _STRIDE_2, column * _STRIDE_2 * _OUT_1
        for i in range(_SIZE_2):
            for k in range(_STRETCH):
                dfirst[top + i, left + k] += dpatch[i * _STRETCH + k]
        n += 1
        if n == 4:
            _add_to_weight(g, patches, sums)
            n = 0
    g[n:] = 0
    _add_to_weight(g, patches, sums)


@_fast
def _back_through_1(
    dfirst: Array, first: Array, image: Array, lit: Array, g: Array, patches: Array, sums: Array
) -> None:
    """Add to the gradients of the parameters; where all pixels are 0, only to the bias's."""
    zero, n = g.dtype.type(0), 0
    dark = np.zeros(_OUT_1, g.dtype)
    for row in range(_SIDE_1):
        for column in range(_SIDE_1):
            left = column * _OUT_1
            for out in range(_OUT_1):
                value = dfirst[row, left + out]
                g[n, out] = value if first[row, left + out] > 0 else zero
            if not _touches(lit, row, column):
                for out in range(_OUT_1):
                    dark[out] += g[n, out]
                continue
            for i in range(_SIZE_1):
                for j in range(_SIZE_1):
                    pixel = image[row * _STRIDE_1 + i, column * _STRIDE_1 + j]
                    patches[n, i * _SIZE_1 + j] = pixel
            n += 1
            if n == 4:
                _add_to_weight(g, patches, sums)
                n = 0
    g[n:] = 0
    _add_to_weight(g, patches, sums)
    for out in range(_OUT_1):
        sums[out, _PATCH_1] += dark[out]


@_fast
def _light(frame: Array, scale: tuple[Any, Any], image: Array, pixels: Array, lit: Array) -> None:
    """Write the image of a frame, and mark the blocks in which a pixel is not 0."""
    zero, unit = scale
    for row in range(_BLOCKS_1):
        pixels[:] = 0
        for i in range(row * _STRIDE_1, (row + 1) * _STRIDE_1):
            for j in range(FRAME_SIZE):
                image[i, j] = (image.dtype.type(frame[i, j]) - zero) / unit
            for j in range(FRAME_SIZE):
                pixels[j] |= image[i, j] != 0
        _fold(pixels, lit, row)


@compiled(parallel=True, nogil=True)
def _back(
    gradient: Array,
    frames: Array,
    scale: tuple[Any, Any],
    weight_2: Array,
    first: Array,
    features: Array,
) -> tuple[Array, Array]:
    """Gradients of the parameters, given those of the features; arguments as for `_see`.

    Returns
    -------
    of_1 : (16, 65)
        Of weight and bias of the first convolution.
    of_2 : (32, 257)
        Of those of the second.
    """
    kind = first.dtype.type
    zero, unit = kind(scale[0]), kind(scale[1])
    n_steps, n_batch = features.shape[:2]
    of_1 = np.zeros((N_PARTS, _OUT_1, _PATCH_1 + 1), first.dtype)
    of_2 = np.zeros((N_PARTS, _OUT_2, _PATCH_2 + 1), first.dtype)
    for part in numba.prange(N_PARTS):
        patches_1 = np.zeros((4, _PATCH_1), first.dtype)
        patches_2 = np.zeros((4, _PATCH_2), first.dtype)
        g_1, g_2 = np.empty((4, _OUT_1), first.dtype), np.empty((4, _OUT_2), first.dtype)
        dfirst, dpatch = np.empty_like(first[0, 0]), np.empty(_PATCH_2, first.dtype)
        masked, at = np.empty(N_FEATURES, first.dtype), np.empty(_OUT_2, np.int64)
        image = np.empty((FRAME_SIZE, FRAME_SIZE), first.dtype)
        pixels = np.empty(FRAME_SIZE, np.uint8)
        lit = np.empty((_BLOCKS_1, _BLOCKS_1), np.uint8)
        for b in range(part, n_batch, N_PARTS):
            for t in range(n_steps):
                outputs = first[t, b]
                _back_through_2(
                    *(gradient[t, b], features[t, b], outputs, weight_2, masked, at),
                    *(g_2, patches_2, dpatch, dfirst, of_2[part]),
                )
                _light(frames[t, b], (zero, unit), image, pixels, lit)
                _back_through_1(dfirst, outputs, image, lit, g_1, patches_1, of_1[part])
    return of_1.sum(0), of_2.sum(0)


def _arrays(parameters: Sequence[Tensor]) -> tuple[Array, ...]:
    weight_1, bias_1, weight_2, bias_2 = (p.detach() for p in parameters)
    by_pixel = weight_2.permute(0, 2, 3, 1)
    flat = weight_1.flatten(1), bias_1, by_pixel.flatten(1), bias_2
    return tuple(p.contiguous().numpy() for p in flat)


class FusedFrontEnd(torch.autograd.Function):
    """``(frames, zero, unit, *Parameters)`` to features, (T, B, 84, 84) to (T, B, 2592)."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        """See the frames of each game one after the other."""
        share_threads()
        frames, zero, unit, *parameters = inputs
        arrays = _arrays(parameters)
        frames, scale = frames.contiguous().numpy(), (zero, unit)
        n_steps, n_batch = frames.shape[:2]
        first = np.empty((n_steps, n_batch, _SIDE_1, _SIDE_1 * _OUT_1), arrays[0].dtype)
        features = np.empty((n_steps, n_batch, N_FEATURES), first.dtype)
        _see(frames, np.empty_like(frames[0]), False, scale, *arrays, first, features)
        ctx.inputs = frames, scale, arrays[2], first, features
        return torch.from_numpy(features)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the parameters."""
        of_1, of_2 = (
            torch.from_numpy(g) for g in _back(grads[0].contiguous().numpy(), *ctx.inputs)
        )
        weight_1 = of_1[:, :-1].unflatten(1, (_ONE.n_in, _SIZE_1, _SIZE_1))
        weight_2 = of_2[:, :-1].unflatten(1, (_SIZE_2, _SIZE_2, _OUT_1)).permute(0, 3, 1, 2)
        return None, None, None, weight_1, of_1[:, -1], weight_2, of_2[:, -1]


class Watcher:
    """Features of many games, frame after frame, with parameters as they are now.

    Parameters
    ----------
    scale : two floats
        `PixelScale`.
    parameters : Parameters
    """

    def __init__(self, scale: tuple[float, float], parameters: Parameters) -> None:
        self._scale = scale[0], scale[1]  # a plain tuple, for one compilation of the kernel
        self._arrays = [a.copy() for a in _arrays(parameters)]
        self._state: tuple[Array, Array, Array] | None = None

    def __call__(self, frames: Tensor) -> Tensor:
        """Features of the next frames, (B, 2592).

        Parameters
        ----------
        frames : Tensor of uint8, (B, 84, 84)
        """
        share_threads()
        levels, begun = frames.contiguous().numpy(), self._state is not None
        if self._state is None:
            kind = self._arrays[0].dtype
            first = np.empty((1, len(levels), _SIDE_1, _SIDE_1 * _OUT_1), kind)
            features = np.empty((1, len(levels), N_FEATURES), kind)
            self._state = np.empty_like(levels), first, features
        image, first, features = self._state
        _see(levels[None], image, begun, self._scale, *self._arrays, first, features)
        return torch.from_numpy(features[0].copy())
