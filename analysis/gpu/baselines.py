"""What a GPU spends on the same synapse-steps: a registry of baselines.

A GPU's energy grows with network steps and a bias energy with seconds, so a ratio of the
two depends on the seconds per step. Baselines that were published for the paper's whole
game are turned into an energy per synapse and step by the step that the game is read with.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brian2.units import Quantity, joule, second

from mstpn.synapses.support.sourced import DataError, Sourced, read_table, sourced

__all__ = [
    "BASELINES",
    "MAIN",
    "Baseline",
    "PaperGame",
    "baselines",
    "main_ratio",
    "paper_game",
    "reading",
]

BASELINES = Path(__file__).with_name("gpu_baselines.toml")
MAIN = "a100_fp16_best_size"
"""The baseline of the main ratio, which is the paper's own."""


@dataclass(frozen=True)
class PaperGame:
    """The Pong game of the paper's energy estimate.

    Parameters
    ----------
    synapses, duration, pulse_energy : Sourced
        Number; second; joule of all pulses.
    steps : tuple of Sourced
        The readings of the network step, which the paper does not give, the shortest first.
    """

    synapses: Sourced
    duration: Sourced
    pulse_energy: Sourced
    steps: tuple[Sourced, ...]

    def n_steps(self, step_duration: Quantity) -> Any:
        """Network steps of the game under a reading, a scalar or array of them."""
        return self.duration.value / step_duration


@dataclass(frozen=True)
class Baseline:
    """What one GPU spends.

    Parameters
    ----------
    name, label : str
    game_energy : Quantity, joule, or None
        Of the paper's whole game.
    update_energy : Quantity, joule, or None
        Per synapse and step. One of the two is there.
    provenance, source : str
    """

    name: str
    label: str
    game_energy: Quantity | None
    update_energy: Quantity | None
    provenance: str
    source: str

    def energy(self, synapse_steps: Any, step_duration: Quantity) -> Quantity:
        """Energy for so many updates of a synapse.

        Parameters
        ----------
        synapse_steps : float or ndarray
        step_duration : Quantity, second
            Reading of the paper's step; only baselines of its whole game depend on it.
        """
        if self.update_energy is not None:
            return self.update_energy * synapse_steps
        game = paper_game()
        updates = float(game.synapses.value) * game.n_steps(step_duration)
        return self.game_energy * (synapse_steps / updates)


def paper_game() -> PaperGame:
    """The game of the paper, from `gpu_baselines.toml`."""
    table = read_table(BASELINES)["paper_game"]
    steps = {f"step.{name}": entry for name, entry in table.pop("step").items()}
    read = {name: sourced(f"paper_game.{name}", entry) for name, entry in (table | steps).items()}
    readings = [read.pop(name) for name in steps]
    return PaperGame(**read, steps=tuple(sorted(readings, key=lambda step: float(step.value))))


def reading(step: Quantity) -> str:
    """A step as the fraction of a second that it is, or in seconds."""
    rate = float(second / step)
    if rate > 1.5 and abs(rate - round(rate)) < 1e-6 * rate:
        return f"1/{round(rate)} s"
    return f"{float(step / second):.3g} s"


def main_ratio(synapse_steps: float, spent: Quantity, step_duration: Quantity) -> float:
    """The ratio that stands for all: the paper's A100 over the memristors, as the paper counts.

    Held fixed are the updates of a synapse, what is counted (pulses and bias) and the voltage
    (the device's largest on every synapse). Both energies then grow with the duration of the
    game, so that the ratio hardly depends on the step.

    Parameters
    ----------
    synapse_steps : float
        Updates of a synapse.
    spent : Quantity, joule
        By the memristors: pulses, and bias at the largest voltage.
    step_duration : Quantity, second
        At which the game was played.
    """
    return float(baselines()[MAIN].energy(synapse_steps, step_duration) / spent)


def baselines(measured: Path | None = None) -> dict[str, Baseline]:
    """All baselines by name.

    Parameters
    ----------
    measured : Path, optional
        A file of `mstpn gpu-energy`, such as one of `mstpn.analysis.gpu.MEASURED`; its results are
        added.

    Raises
    ------
    DataError
        If a data file is missing or malformed.
    """
    table = read_table(BASELINES)
    memory = {
        name: sourced(f"memory.{name}", entry) for name, entry in table.get("memory", {}).items()
    }
    by_name = {name: _baseline(name, entry, memory) for name, entry in table["baseline"].items()}
    if measured is not None:
        by_name |= _measured(measured)
    return by_name


def _baseline(name: str, entry: Mapping[str, Any], memory: Mapping[str, Sourced]) -> Baseline:
    kind = entry.get("kind")
    if kind == "traffic":
        per_bit = memory[entry["memory"]]
        update = per_bit.value * (entry["bits"] * entry["values"])
        source = f"{entry['source']}; {per_bit.value / joule * 1e12:g} pJ {per_bit.source}"
        return Baseline(name, entry["label"], None, update, per_bit.provenance, source)
    constant = sourced(f"baseline.{name}", entry)
    if kind == "game":
        energies = (constant.value, None)
    elif kind == "operations":
        energies = (None, constant.value * entry["operations"])
    else:
        raise DataError(f"baseline.{name}: kind must be game, traffic or operations, got {kind!r}")
    return Baseline(name, entry["label"], *energies, constant.provenance, constant.source)


def _measured(path: Path) -> dict[str, Baseline]:
    """Baselines from a file of `mstpn gpu-energy`, at the own and at the best size."""
    try:
        content = json.loads(path.read_bytes())
        own = int(paper_game().synapses.value)
        by_name = {}
        for run in content["runs"]:
            kind = f"{run['precision']}_{run['form']}"
            per_synapse = {
                size["synapses"]: sum(op["energy_j"] for op in size["operations"].values())
                / size["synapses"]
                for size in run["sizes"]
            }
            best = min(per_synapse, key=lambda n: per_synapse[n])
            for label, n in (("own", own), ("best", best)):
                name = f"measured_{kind}_{label}_size"
                by_name[name] = Baseline(
                    name,
                    f"{content['gpu']} {run['precision']}, {run['form']}, {label} size",
                    None,
                    per_synapse[n] * joule,
                    "measured",
                    f"{path.name}: board energy through NVML at {n:,} synapses",
                )
        return by_name
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no file of mstpn gpu-energy: {error!r}") from error
