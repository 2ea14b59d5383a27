"""The agent in torch: conv front-end, m-STPN layer, action head and value head."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mstpn.network.front_end import CONVOLUTIONS, N_FEATURES, WHITE
from mstpn.network.twin.layer import STHebbLayer, TwinConfig

if TYPE_CHECKING:
    from mstpn.network.twin.convolutions import Parameters

__all__ = ["MSTPN", "FrontEnd", "PixelScale"]


class PixelScale(NamedTuple):
    """Grey levels, 0 to 255, as the first convolution takes them: (level - zero) / unit.

    Every scale can give the same functions, but gradient descent on the weights is faster
    where the background is near 0 and the ball's contrast near 1.

    Parameters
    ----------
    zero, unit : float
        Grey levels.
    """

    zero: float = 0.0
    unit: float = WHITE


class FrontEnd(nn.Module):
    """Two convolutions with ReLU on one 84 x 84 grey frame, flattened to 2592 features.

    `mstpn.network.front_end.FrontEnd` is the same for play. The first convolution (8 x 8,
    stride 4) runs as a 2 x 2 one of stride 1 on 4 x 4 blocks moved into channels: the same
    sums, and a backward pass 1.4 times as fast.

    Attributes
    ----------
    pixels : PixelScale
        How grey levels enter the first convolution.
    """

    n_features = N_FEATURES
    pixels = PixelScale()

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(*convolution) for convolution in CONVOLUTIONS)
        for conv in (self.conv1, self.conv2):
            nn.init.orthogonal_(conv.weight, 2**0.5)
            conv.bias.data.zero_()  # type: ignore[union-attr]

    def forward(self, frames: Tensor) -> Tensor:
        """Features in [0, inf).

        Parameters
        ----------
        frames : Tensor of uint8, (B, 84, 84) or (T, B, 84, 84)
            Sequences run on the CPU in one kernel, which needs Numba and computes only what
            changes from frame to frame.

        Returns
        -------
        Tensor, (B, 2592) or (T, B, 2592)
        """
        if frames.ndim == 4:
            if frames.device.type == "cpu":
                from mstpn.network.twin.convolutions import FusedFrontEnd

                return FusedFrontEnd.apply(frames, *self.pixels, *self._parameters_in_order)
            return self(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        x = functional.pixel_unshuffle(frames.unsqueeze(1), 4).to(
            self.conv1.weight.dtype, memory_format=torch.channels_last
        )
        weight = functional.pixel_unshuffle(self.conv1.weight, 4)
        x = (x - self.pixels.zero) / self.pixels.unit
        x = functional.relu(functional.conv2d(x, weight, self.conv1.bias))
        return functional.relu(self.conv2(x)).flatten(1)

    def watcher(self) -> Callable[[Tensor], Tensor]:
        """See games frame by frame, without gradients, with the parameters as they are now.

        Returns
        -------
        callable
            From the next frames of the games, (B, 84, 84), to features.
        """
        if self.conv1.weight.device.type != "cpu":
            return torch.no_grad()(self.forward)
        from mstpn.network.twin.convolutions import Watcher

        return Watcher(self.pixels, self._parameters_in_order)

    @property
    def _parameters_in_order(self) -> "Parameters":
        one, two = self.conv1, self.conv2
        return one.weight, one.bias, two.weight, two.bias  # type: ignore[return-value]

    @torch.no_grad()
    def see_contrast_only(self, n_lit: int = 0) -> None:
        """Move the parameters to where a uniform frame, of whatever level, has no active feature.

        Each kernel of the first convolution sums to 0, and no bias is positive.

        Parameters
        ----------
        n_lit : int
            The first channels of the second convolution, whose biases stay: they may be active
            everywhere, on uniform frames too.
        """
        weight = self.conv1.weight
        weight.sub_(weight.mean((1, 2, 3), keepdim=True))
        self.conv1.bias.clamp_(max=0)  # type: ignore[union-attr]
        self.conv2.bias[n_lit:].clamp_(max=0)  # type: ignore[index]

    @torch.no_grad()
    def rescale(self, pixels: PixelScale) -> None:
        """Take grey levels on another scale, with parameters that give the same features."""
        weight, bias = self.conv1.weight.double(), self.conv1.bias.double()  # type: ignore[union-attr]
        weight = weight / self.pixels.unit
        bias = bias + (pixels.zero - self.pixels.zero) * weight.sum((1, 2, 3))
        self.conv1.weight.copy_(weight * pixels.unit)
        self.conv1.bias.copy_(bias)  # type: ignore[union-attr]
        self.pixels = pixels


class MSTPN(nn.Module):
    """Front-end, m-STPN layer, action head and value head.

    Parameters
    ----------
    config : TwinConfig
    """

    def __init__(self, config: TwinConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = FrontEnd()
        self.layer = STHebbLayer(FrontEnd.n_features, config)
        self.action_head = nn.Linear(config.n_hidden, config.n_actions)
        self.value_head = nn.Linear(config.n_hidden, 1)
        nn.init.orthogonal_(self.action_head.weight, 0.01)
        nn.init.zeros_(self.action_head.bias)

    def heads(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Action logits (..., A) and values (...)."""
        return self.action_head(h), self.value_head(h).squeeze(-1)
