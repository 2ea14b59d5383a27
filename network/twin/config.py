"""What a network is like, for torch and Brian2 alike; neither is loaded for it."""

from dataclasses import dataclass

from mstpn.network.normalisation import NORMALISATIONS, check_normalisation
from mstpn.network.wiring import check_bias_lines
from mstpn.synapses.write_limits import WriteLimits

__all__ = ["DECAY_RATE", "INITIAL_GAMMA", "TwinConfig"]

INITIAL_GAMMA = 0.001
"""Gamma starts uniform between minus and plus this."""
DECAY_RATE = 3.0
"""Learning rate of Lambda over that of the rest, unless said otherwise."""

_LARGEST_SIZE = 2**14


@dataclass(frozen=True)
class TwinConfig:
    """Sizes and limits of a network.

    Parameters
    ----------
    n_hidden : int
        Units of the m-STPN layer.
    n_actions : int
        Size of the action head.
    normalisation : {"none", "l2", "stpn"}
        What is done, digitally, to the presynaptic vector z: nothing, or division by its
        Euclidean norm. Or, in no crossbar, STPN's division by the norm of W + F.
    decay_min, decay_max : float
        Range of Lambda per network step, within [0, 1).
    limits : WriteLimits, optional
        None for ideal updates. The gradient of Gamma is that of the update that was wanted;
        h and z get one only from updates that are issued and not bounded.
    bias_lines : str
        Which synapses share one Lambda, one of `mstpn.network.wiring.BIAS_LINES`.
    feedback : bool
        Whether h of the last step is part of z; without it F is the layer's only memory.
    """

    n_hidden: int
    n_actions: int
    normalisation: str
    decay_min: float
    decay_max: float
    limits: WriteLimits | None = None
    bias_lines: str = "synapse"
    feedback: bool = True

    def __post_init__(self) -> None:
        check_bias_lines(self.bias_lines)
        if type(self.feedback) is not bool:
            raise ValueError(f"feedback must be true or false, got {self.feedback!r}")
        for name in ("n_hidden", "n_actions"):
            size = getattr(self, name)
            if type(size) is not int or not 0 < size <= _LARGEST_SIZE:
                raise ValueError(f"{name} must be an integer in [1, {_LARGEST_SIZE}], got {size!r}")
        check_normalisation(self.normalisation, (*NORMALISATIONS, "stpn"))
        if not 0 <= self.decay_min <= self.decay_max < 1:
            raise ValueError(
                "decay_min and decay_max must satisfy 0 <= decay_min <= decay_max < 1, "
                f"got {self.decay_min} and {self.decay_max}"
            )
