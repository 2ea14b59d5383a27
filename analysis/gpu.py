"""What a GPU would have spent on the same synapse-steps, from published figures."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from brian2.units import Quantity, hertz, mjoule, second

__all__ = ["PaperBaseline", "paper_baseline"]

_DATA = Path(__file__).with_name("gpu_baselines.toml")


@dataclass(frozen=True)
class PaperBaseline:
    """The paper's GPU energy of one game, and the game it belongs to.

    Parameters
    ----------
    game_energy : Quantity, joule
        Of all synapses over the paper's game.
    game_duration : Quantity, second
    synapses : int
    step_rates : tuple of Quantity, hertz
        Assumed readings of the network steps per second, which the paper does not give.
    provenance, source : str
    """

    game_energy: Quantity
    game_duration: Quantity
    synapses: int
    step_rates: tuple[Quantity, ...]
    provenance: str
    source: str

    def game_steps(self, step_rate: Quantity) -> float:
        """Network steps of the paper's game at a step rate."""
        return float(self.game_duration * step_rate)

    def energy(self, synapse_steps: int, step_rate: Quantity) -> Quantity:
        """Energy for `synapse_steps` updates at the energy per update that a rate implies."""
        return self.game_energy * synapse_steps / (self.synapses * self.game_steps(step_rate))


def paper_baseline() -> PaperBaseline:
    """The A100 in fp16 at its best size, the baseline of the paper's 96 times."""
    with _DATA.open("rb") as file:
        data = tomllib.load(file)
    game, gpu = data["paper_game"], data["a100_fp16_best_size"]
    return PaperBaseline(
        game_energy=gpu["energy_mj"] * mjoule,
        game_duration=game["duration_s"] * second,
        synapses=game["synapses"],
        step_rates=tuple(rate * hertz for rate in game["steps_per_second"]),
        provenance=gpu["provenance"],
        source=gpu["source"],
    )
