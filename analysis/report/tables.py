"""One page on a game's energy: tables in which every number says where it comes from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2.units import Quantity, joule, mjoule, second
from matplotlib.ticker import EngFormatter

from mstpn.analysis.energy.energies import assumed_constants, energies, provenance
from mstpn.analysis.energy.integration import Sums
from mstpn.analysis.energy.left_out import Part
from mstpn.analysis.energy.policies import POLICIES, Held
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import Samples
from mstpn.analysis.gpu.baselines import Baseline, PaperGame
from mstpn.analysis.gpu.break_even import Curve, break_even
from mstpn.analysis.gpu.paper_game import paper_protocol
from mstpn.analysis.gpu.ratios import Ratio
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Sourced

__all__ = [
    "break_even_table",
    "constant_tables",
    "energy_table",
    "left_out_table",
    "paper_check",
    "paper_check_text",
    "ratio_table",
    "table",
]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([c.replace("|", "\\|") for c in r] for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """A number in four digits, or whole if it is large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def span(low: float, high: float) -> str:
    """Two numbers, or one if they read the same."""
    return " to ".join(dict.fromkeys((number(low), number(high))))


def millijoule(energy: Quantity) -> str:
    """An energy in four digits."""
    return f"{number(float(energy / mjoule))} mJ"


def reading(step: Quantity) -> str:
    """A step duration as the fraction of a second that it is."""
    return f"1/{round(float(second / step))} s"


def energy_table(
    game: Held,
    sums: Sums,
    policy: str,
    device: Memristor,
    steps: Sequence[Sourced],
    extra: Sequence[Quantity],
) -> list[list[str]]:
    """Rows of one bias policy: joules by term under each reading of the step.

    Parameters
    ----------
    game : Held
    sums : Sums
        Of the same game; no step changes them.
    policy : str
    device : Memristor
    steps : sequence of Sourced, second
    extra : sequence of Quantity, second
        Further steps, such as the one the game was played at.
    """
    rows = []
    for step, mark in [*((s.value, s.provenance) for s in steps), *((s, "given") for s in extra)]:
        recording = game.recording.replace(step_duration=step)
        spent = energies(recording, device, game.bias_voltage, sums)
        rows.append(
            [
                policy,
                f"{reading(step)} ({mark})",
                f"{float(recording.duration / second):.1f} s",
                *(millijoule(spent[term]) for term in ("pulse", "bias", "read")),
                millijoule(spent["pulse"] + spent["bias"]),
                provenance(device, _terms(policy)),
            ]
        )
    return rows


ENERGY_HEADER = (
    "bias",
    "time per decision",
    "game",
    "pulses",
    "bias energy",
    "reads",
    "pulses + bias, as the paper counts",
    "rests on",
)


def paper_check(
    game: PaperGame, device: Memristor, baselines: Mapping[str, Baseline]
) -> dict[str, Any]:
    """The paper's arithmetic, through the code that counts a recorded game.

    Returns
    -------
    dict
        `memristor_mj`, `bias_mj`, `pulse_mj`, `ratio_best_size`, `ratio_own_size`, and the
        same per reading of the step under `readings`.
    """
    readings = []
    for step in game.steps:
        held = paper_protocol(game, device, step.value)
        spent = energies(held.recording, device, held.bias_voltage)
        total = spent["pulse"] + spent["bias"]
        updates = held.recording.n_synapses * held.recording.n_frames
        gpu = {
            size: baselines[f"a100_fp16_{size}_size"].energy(updates, held.recording.step_duration)
            for size in ("best", "own")
        }
        readings.append(
            {
                "step_s": float(step.value / second),
                "steps": held.recording.n_frames,
                "memristor_mj": float(total / mjoule),
                "bias_mj": float(spent["bias"] / mjoule),
                "pulse_mj": float(spent["pulse"] / mjoule),
                "ratio_best_size": float(gpu["best"] / total),
                "ratio_own_size": float(gpu["own"] / total),
            }
        )
    main = {k: v for k, v in readings[0].items() if k not in ("step_s", "steps")}
    return main | {"readings": readings}


def paper_check_text(
    found: Mapping[str, Any],
    game: PaperGame,
    device: Memristor,
    baselines: Mapping[str, Baseline],
) -> str:
    """The paper's arithmetic for a person."""
    given = device.constants.get("bias_power")
    best, own = (baselines[f"a100_fp16_{size}_size"] for size in ("best", "own"))
    rows = [
        [
            "bias, largest voltage on all, S = 0",
            f"{found['bias_mj']:.2f} mJ",
            f"{device.bias_power} per synapse ({given.provenance if given else 'unstated'}), "
            f"{float(game.synapses.value):,.0f} synapses ({game.synapses.provenance}), "
            f"{game.duration.value} ({game.duration.provenance}: {game.duration.source})",
        ],
        [
            "pulses",
            f"{found['pulse_mj']:.2f} mJ",
            f"{game.pulse_energy.provenance}: spread evenly over synapses and steps",
        ],
        ["memristors", f"{found['memristor_mj']:.2f} mJ", "sum of both"],
        [
            "A100 at its best size / memristors",
            f"{found['ratio_best_size']:.1f}",
            f"{millijoule(best.game_energy)} ({best.provenance})",
        ],
        [
            "A100 at the network's size / memristors",
            f"{found['ratio_own_size']:.1f}",
            f"{millijoule(own.game_energy)} ({own.provenance})",
        ],
    ]
    note = (
        "The duration is itself derived from the paper's bias energy, so the bias line shows "
        "that the ledger integrates right, not that the paper's figure is. No number here rests "
        "on the step, which is assumed: both readings ("
        + ", ".join(f"{r['steps']:,} steps" for r in found["readings"])
        + ") give the same."
    )
    return table(("quantity", "value", "from"), rows) + "\n\n" + note


def ratio_table(
    found: Mapping[tuple[str, str], Ratio],
    baselines: Mapping[str, Baseline],
    device: Memristor,
) -> str:
    """Ratios with their intervals, one row a baseline."""
    rows = []
    for name, baseline in baselines.items():
        cells = []
        for policy in POLICIES:
            r = found[name, policy]
            cells.append(
                f"{number(r.value)} [{number(r.low)}, {number(r.high)}] "
                f"({rests_on(policy, device)})"
            )
        rows.append([f"{baseline.label} ({baseline.provenance})", *cells])
    return table(("GPU baseline", *(f"{p} bias" for p in POLICIES)), rows)


def assumed(policy: str, device: Memristor) -> list[str]:
    """What a ratio rests on that is assumed: the step, and device constants."""
    return ["step", *assumed_constants(device, _terms(policy))]


def rests_on(policy: str, device: Memristor) -> str:
    """The same, the constants counted."""
    n_constants = len(assumed(policy, device)) - 1
    return f"assumed: step, {n_constants} constants" if n_constants else "assumed: step"


def _terms(policy: str) -> tuple[str, str]:
    return "pulse", "worst-case bias" if policy == "worst case" else "bias"


def left_out_table(recording: Recording, parts: Sequence[Part], samples: Samples) -> str:
    """Energy of every part that the paper leaves out."""
    rows = [["reads of the synapses", "no", millijoule(samples.read[0]), "device file", ""]]
    rows += [
        [
            part.label,
            "yes" if part.shared else "no",
            millijoule(part.energy(recording)),
            part.cost.provenance,
            f"{float(part.cost.value / joule) * 1e12:g} pJ x {part.times:,} per {part.per}: "
            f"{part.cost.source}",
        ]
        for part in parts
    ]
    return table(("part", "GPU needs it too", "energy of the game", "provenance", "source"), rows)


def break_even_table(
    curves: Mapping[str, Curve], baselines: Mapping[str, Baseline], step: Quantity
) -> str:
    """Where memristor and GPU spend the same, or which of them spends less throughout."""
    columns = [(curve, policy) for curve in curves.values() for policy in curve.energy]
    rows = []
    for baseline in baselines.values():
        cells = []
        for curve, policy in columns:
            level = float(baseline.energy(1, step) / joule)
            at = break_even(curve, policy, level)
            if at is None:
                cells.append("memristors" if curve.energy[policy][0] < level else "GPU")
            else:
                unit = "" if curve.unit == "1" else curve.unit
                cells.append(EngFormatter(unit)(float(f"{at:.3g}")))
        rows.append([f"{baseline.label} ({baseline.provenance})", *cells])
    header = [f"{curve.label}, {policy}" for curve, policy in columns]
    return table(("GPU baseline", *header), rows)


def constant_tables(
    device: Memristor,
    baselines: Mapping[str, Baseline],
    ranges: Mapping[str, Mapping[str, Any]],
) -> str:
    """Every constant with provenance, source and the range it was varied over."""
    rows = []
    for name, constant in device.constants.items():
        entry = ranges.get(name)
        varied = "" if entry is None else f"{_range(entry)}: {entry['reason']}"
        value = str(getattr(device, name))
        rows.append([f"`{name}`", value, constant.provenance, constant.source, varied])
    device_table = table(("device constant", "value", "provenance", "source", "varied"), rows)
    rows = [[b.label, b.provenance, b.source] for b in baselines.values()]
    return device_table + "\n\n" + table(("GPU baseline", "provenance", "source"), rows)


def _range(entry: Mapping[str, Any]) -> str:
    if "factor" in entry:
        return f"by a factor of {entry['factor']:g} either way, log-uniform"
    return f"{entry['low']:g} to {entry['high']:g}, uniform"


def negative_conductance(frames_below_zero: Any) -> str:
    """What to say of synapses whose linear model left the physical range."""
    synapses = int(np.count_nonzero(frames_below_zero))
    if not synapses:
        return "No frame began with a conductance below 0."
    share = float(np.sum(frames_below_zero)) / np.size(frames_below_zero)
    return (
        f"In {synapses:,} synapses some frames began with a conductance below 0, {share:.2g} "
        "frames per synapse on average: the linear model credits them energy then."
    )
