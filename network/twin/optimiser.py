"""Adam for networks around an m-STPN layer."""

from torch import nn
from torch.optim import Adam

from mstpn.network.twin.config import DECAY_RATE

__all__ = ["adam"]

_DECAY_EPSILON = 1e-12


def adam(
    network: nn.Module,
    learning_rate: float,
    *,
    epsilon: float = 1e-8,
    decay_rate: float = DECAY_RATE,
) -> Adam:
    """Adam with Lambda in a group of its own.

    The gradient of one synapse's Lambda is of the order of 1e-13 to 1e-5 and vanishes beside
    an epsilon that suits W and Gamma: Lambda would stand still whatever the task. Parameters
    that need no gradient are left out.

    Parameters
    ----------
    network : nn.Module
        Parameters called `decay_logit` are those of Lambda.
    learning_rate : float
    epsilon : float
        Of the others.
    decay_rate : float
        Learning rate of Lambda over `learning_rate`. A schedule multiplies both.

    Returns
    -------
    Adam
        Each group has its share of the learning rate as `rate`, too.
    """
    parts: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            parts[name.split(".")[-1] == "decay_logit"].append(parameter)
    groups = [
        {"params": parts[False], "rate": 1.0, "lr": learning_rate, "eps": epsilon},
        {
            "params": parts[True],
            "rate": decay_rate,
            "lr": decay_rate * learning_rate,
            "eps": _DECAY_EPSILON,
        },
    ]
    return Adam([group for group in groups if group["params"]], lr=learning_rate)
