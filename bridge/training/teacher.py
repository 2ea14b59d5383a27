"""A trained agent that another one imitates where it goes itself (DAgger).

The pupil plays, and is told at every step what the teacher would do; its loss is the divergence
of its policy from the teacher's (Ross, Gordon and Bagnell, "A reduction of imitation learning and
structured prediction to no-regret online learning", AISTATS 2011; for policies as targets Rusu
et al., "Policy distillation", ICLR 2016). A teacher may see more than its pupil, so one that was
never shown a blank frame can teach a game of blank frames.
"""

from pathlib import Path

import torch
from torch import Tensor

from mstpn.network.twin.agent import MSTPN
from mstpn.network.twin.checkpoint import load_checkpoint

__all__ = ["Teacher"]


class Teacher:
    """Watches games that another agent plays, with a state of its own.

    Parameters
    ----------
    net : MSTPN
        Its parameters are to stay as they are.
    n_games : int
    """

    def __init__(self, net: MSTPN, n_games: int) -> None:
        self._net, self._watcher = net, net.front_end.watcher()
        self._stepper = net.layer.stepper(net.layer.initial_state(n_games))

    @classmethod
    def load(cls, path: Path, n_actions: int, n_games: int, device: torch.device) -> "Teacher":
        """From a checkpoint.

        Raises
        ------
        ValueError
            If it has another number of actions.
        """
        net = load_checkpoint(path).twin().to(device)
        if net.config.n_actions != n_actions:
            raise ValueError(
                f"teacher: {path} must have {n_actions} actions, got {net.config.n_actions}"
            )
        return cls(net, n_games)

    @torch.no_grad()
    def log_probs(self, frames: Tensor, keep: Tensor) -> Tensor:
        """Its policy at the next step.

        Parameters
        ----------
        frames : Tensor of uint8, (B, 84, 84)
        keep : Tensor, (B,)
            0 where a new game starts, else 1.

        Returns
        -------
        Tensor, (B, A)
            Logarithms of the actions' probabilities.
        """
        h = self._stepper.step(self._watcher(frames), keep)
        return self._net.action_head(h).log_softmax(1)
