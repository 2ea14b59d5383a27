"""The front-end of play against torch's, and features that know nothing of earlier frames."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mstpn.network.front_end import FrontEnd
from mstpn.network.twin import agent

Frame = NDArray[np.uint8]


@pytest.fixture(scope="module")
def twin() -> agent.FrontEnd:
    torch.manual_seed(0)
    front_end = agent.FrontEnd().double()
    for convolution in (front_end.conv1, front_end.conv2):
        torch.nn.init.uniform_(convolution.bias, -0.5, 0.5)  # type: ignore[arg-type]
    return front_end


@pytest.fixture(params=[True, False], ids=["compiled", "numpy"])
def make(request: pytest.FixtureRequest, twin: agent.FrontEnd) -> Callable[[], FrontEnd]:
    tensors = {f"front_end.{k}": v.numpy() for k, v in twin.state_dict().items()}
    return lambda: FrontEnd(tensors, compiled=request.param)


def frames() -> list[Frame]:
    """Black, then patches of any size that come, stay, move and go; black again."""
    rng = np.random.default_rng(1)
    frame, found = np.zeros((84, 84), np.uint8), [np.zeros((84, 84), np.uint8)]
    for _ in range(60):
        if rng.random() < 0.2:
            frame = np.zeros_like(frame)
        row, column = rng.integers(0, 84, 2)
        height, width = rng.integers(0, 30, 2)
        frame[row : row + height, column : column + width] = rng.integers(0, 256)
        found.append(frame.copy())
    full = rng.integers(0, 256, (84, 84), np.uint8)
    return [*found, full, full, np.zeros_like(full)]


def test_features_are_those_of_torch(make: Callable[[], FrontEnd], twin: agent.FrontEnd) -> None:
    mine = make()
    for frame in frames():
        with torch.inference_mode():
            expected = twin(torch.from_numpy(frame)[None])[0].numpy()
        # sums of 64 and 256 terms of order 1 in another order
        np.testing.assert_allclose(mine(frame), expected, rtol=0, atol=1e-13)


def test_features_do_not_depend_on_the_frames_before(make: Callable[[], FrontEnd]) -> None:
    mine = make()
    for frame in frames():
        np.testing.assert_array_equal(mine(frame), make()(frame))


def test_features_are_a_copy(make: Callable[[], FrontEnd]) -> None:
    mine = make()
    first = mine(frames()[3])
    kept = first.copy()
    mine(frames()[40])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("frame", [np.zeros((85, 84), np.uint8), np.zeros((84, 84))])
def test_other_frames_are_refused(make: Callable[[], FrontEnd], frame: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"frame must be uint8 of shape \(84, 84\), got"):
        make()(frame)


def test_a_frame_may_be_a_view(make: Callable[[], FrontEnd]) -> None:
    frame = frames()[40]
    np.testing.assert_array_equal(make()(frame.T.copy().T), make()(frame))
