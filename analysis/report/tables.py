"""Tables of the report; numbers carry marks of where they come from."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from brian2.units import Quantity, joule, mjoule, pjoule, second, volt

from mstpn.analysis.energy.energies import energies, marks
from mstpn.analysis.energy.integration import Sums
from mstpn.analysis.energy.left_out import Part
from mstpn.analysis.energy.neuromorphic import Processor
from mstpn.analysis.energy.policies import Held
from mstpn.analysis.energy.recording import Recording
from mstpn.analysis.energy.uncertainty import Samples
from mstpn.analysis.gpu.baselines import Baseline, PaperGame, reading
from mstpn.analysis.gpu.break_even import Curve, break_even
from mstpn.analysis.gpu.paper_game import paper_protocol
from mstpn.analysis.gpu.ratios import Ratio
from mstpn.analysis.report.markup import Html, labelled, marked, note, table
from mstpn.analysis.report.wording import energy, millijoule, number, prefixed, span
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.support.sourced import Sourced

__all__ = [
    "bias_terms",
    "break_even_tables",
    "columns",
    "constant_tables",
    "energy_table",
    "left_out_table",
    "negative_conductance",
    "operation_table",
    "paper_check",
    "paper_check_table",
    "paper_check_text",
    "policy_name",
    "ratio_table",
    "ratio_text",
    "step_table",
]


def policy_name(policy: str, device: Memristor) -> str:
    """A bias policy in words."""
    return {
        "worst case": f"{device.bias_voltage_max / volt:g} V on every synapse",
        "trained": "the agent's voltages",
        "cheapest": "as low as the game allows",
    }.get(policy, policy)


def bias_terms(policy: str) -> tuple[str, str]:
    """Terms of `TERM_CONSTANTS` that the paper's count rests on under a policy."""
    return "pulse", "worst-case bias" if policy == "worst case" else "bias"


def _marks(device: Memristor, *terms: str) -> list[str]:
    return marks(device, terms).split(", ")


def _at(step: Quantity) -> str:
    return f"at {reading(step)}".replace(" s", "\N{NO-BREAK SPACE}s")


def step_table(recording: Recording, game: PaperGame, steps: Sequence[Sourced]) -> Html:
    """What every reading of the step makes of the paper's game and of this one."""
    rows = [
        [
            labelled(marked(reading(step.value), [step.provenance]), step.source),
            f"{round(float(game.n_steps(step.value))):,}",
            f"{number(float(recording.n_frames * step.value / second))} s",
        ]
        for step in steps
    ]
    duration = f"the paper's {float(game.duration.value / second):.3g} s"
    return table(("a step", f"steps in {duration}", "this game"), rows)


def energy_table(
    held: Mapping[str, Held], sums: Mapping[str, Sums], device: Memristor, steps: Sequence[Quantity]
) -> Html:
    """Joules by term, bias policy and reading of the step.

    Parameters
    ----------
    held, sums : mapping of str to Held, Sums
        By policy; no step changes the sums.
    device : Memristor
    steps : sequence of Quantity, second
    """
    spent = {
        policy: [
            energies(
                game.recording.replace(step_duration=step), device, game.bias_voltage, sums[policy]
            )
            for step in steps
        ]
        for policy, game in held.items()
    }
    first = next(iter(spent.values()))
    rows = [
        [marked(name, _marks(device, term)), *(energy(joules[term]) for joules in first)]
        for name, term in (("pulses", "pulse"), ("reads", "read"))
    ]
    for name, terms in (("bias", ("bias",)), ("pulses + bias", ("pulse", "bias"))):
        for policy, by_step in spent.items():
            of_device = bias_terms(policy)[-len(terms) :]
            label = marked(f"{name}, {policy_name(policy, device)}", _marks(device, *of_device))
            rows.append([label, *(energy(sum(joules[t] for t in terms)) for joules in by_step)])
    return table(("", *(_at(step) for step in steps)), rows)


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


def _checked(
    check: Mapping[str, Any],
    game: PaperGame,
    device: Memristor,
    baselines: Mapping[str, Baseline],
) -> list[tuple[str, str, str, str]]:
    """Rows of the paper's arithmetic: quantity, value, provenance, from what."""
    best, own = (baselines[f"a100_fp16_{size}_size"] for size in ("best", "own"))
    bias = (
        f"{device.bias_power} a synapse, {float(game.synapses.value):,.0f} synapses, "
        f"{game.duration.value}"
    )
    names = device.provenance("bias_power"), game.pulse_energy.provenance
    ratios = [
        (f"A100 at {which} size / memristors", number(check[f"ratio_{size}_size"]), b)
        for which, size, b in (("its best", "best", best), ("the network's", "own", own))
    ]
    return [
        (
            f"bias, {policy_name('worst case', device)}, W + F = 0",
            f"{number(check['bias_mj'])} mJ",
            names[0],
            bias,
        ),
        ("pulses", f"{number(check['pulse_mj'])} mJ", names[1], "spread over synapses and steps"),
        ("memristors", f"{number(check['memristor_mj'])} mJ", names[0], "both"),
        *((what, value, b.provenance, millijoule(b.game_energy)) for what, value, b in ratios),
    ]


def _circular(check: Mapping[str, Any], game: PaperGame) -> str:
    steps = ", ".join(f"{r['steps']:,}" for r in check["readings"])
    return (
        f"The {game.duration.value} are themselves {game.duration.provenance} from the paper's "
        f"bias energy ({game.duration.source}), so the first line shows that the ledger integrates "
        "right, not that the paper's figure is. No line rests on the step, which is assumed: "
        f"{steps} steps give the same."
    )


def paper_check_table(
    found: Mapping[str, Any],
    game: PaperGame,
    device: Memristor,
    baselines: Mapping[str, Baseline],
) -> Html:
    """The paper's arithmetic for the page."""
    rows = [
        [labelled(what, source), marked(value, [provenance])]
        for what, value, provenance, source in _checked(found, game, device, baselines)
    ]
    return Html(table(("", "value"), rows) + note(_circular(found, game)))


def paper_check_text(
    found: Mapping[str, Any],
    game: PaperGame,
    device: Memristor,
    baselines: Mapping[str, Baseline],
) -> str:
    """The paper's arithmetic for a terminal."""
    rows = [
        (what, value, f"{source} ({provenance})")
        for what, value, provenance, source in _checked(found, game, device, baselines)
    ]
    return columns(rows) + "\n\n" + fill(_circular(found, game), 100)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Lines of text whose columns begin one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{text:{width}s}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def ratio_table(
    found: Sequence[Mapping[tuple[str, str], Ratio]],
    steps: Sequence[Quantity],
    baselines: Mapping[str, Baseline],
    policy: str,
) -> Html:
    """Ratios of one bias policy, a row a baseline, a column a reading of the step."""
    rows = [
        [
            marked(baseline.label, [baseline.provenance]),
            *(_ratio_cell(ratios[name, policy]) for ratios in found),
        ]
        for name, baseline in baselines.items()
    ]
    return table(("GPU / memristors", *(_at(step) for step in steps)), rows)


def _ratio_cell(ratio: Ratio) -> Html:
    if ratio.low == ratio.high:
        return Html(number(ratio.value))
    ends = f"{number(ratio.low)}\N{EN DASH}{number(ratio.high)}"
    return labelled(number(ratio.value), ends)


def ratio_text(ratios: Iterable[Ratio]) -> str:
    """Ratios under all readings of the step, and what all their intervals span."""
    by_step = list(ratios)
    low, high = min(r.low for r in by_step), max(r.high for r in by_step)
    return f"{span([r.value for r in by_step])} [{number(low)}, {number(high)}]"


def operation_table(
    recording: Recording,
    device: Memristor,
    spent: Mapping[str, Sequence[float]],
    processors: Sequence[Processor],
) -> Html:
    """Energy of a plastic synapse and step beside that of published synaptic operations.

    Parameters
    ----------
    recording : Recording
    device : Memristor
    spent : mapping of str to sequence of float, joule
        Per synapse and step under every reading of the step, by policy.
    processors : sequence of Processor
    """
    active = int(recording.event_count.sum()) / (recording.n_frames * len(recording.weight))

    rows = []
    for policy, values in spent.items():
        label = f"memristor, {policy_name(policy, device)}"
        counts = "a synapse and step, active or not: F held, decaying and learning; no read"
        rows.append(
            [
                labelled(label, counts),
                marked(
                    span([1e12 * value for value in values]), _marks(device, *bias_terms(policy))
                ),
            ]
        )
        if active:
            each = [1e12 * value / active for value in values]
            counts = f"the same for each of the {100 * active:.3g} % of synapses with an input"
            rows.append(
                [
                    labelled(f"{label}, an active synapse", counts),
                    marked(span(each), _marks(device, *bias_terms(policy))),
                ]
            )
    rows += [
        [
            labelled(p.label, f"{p.counts}. {p.operation.source}"),
            marked(f"{float(p.operation.value / pjoule):g}", [p.operation.provenance]),
        ]
        for p in processors
    ]
    return table(("", "pJ"), rows)


def left_out_table(recording: Recording, parts: Sequence[Part], samples: Samples) -> Html:
    """Energy of every part that the paper leaves out."""
    rows: list[list[str]] = [
        ["reads of the synapses", marked(energy(samples.read[0]), ["assumed"]), "no"]
    ]
    for part in parts:
        each = f"{float(part.cost.value / pjoule):g} pJ x {part.times:,} per {part.per}"
        spent = marked(energy(part.energy(recording)), [part.cost.provenance])
        label = labelled(part.label, f"{each}: {part.cost.source}")
        rows.append([label, spent, "yes" if part.shared else "no"])
    return table(("part", "this game", "a GPU needs it too"), rows)


def break_even_tables(
    curves: Mapping[str, Curve],
    baselines: Mapping[str, Baseline],
    step: Quantity,
    device: Memristor,
) -> list[Html]:
    """Where memristor and GPU spend the same, or which of them spends less throughout."""
    tables = []
    for curve in curves.values():
        rows, shown = [], [policy for policy in curve.energy if policy != "cheapest"]
        for baseline in baselines.values():
            level = float(baseline.energy(1, step) / joule)
            at = [_even(curve, policy, level) for policy in shown]
            rows.append([marked(baseline.label, [baseline.provenance]), *at])
        header = (policy_name(policy, device) for policy in shown)
        tables += [Html(f"<h3>{curve.label}</h3>"), table(("", *header), rows)]
    return tables


def _even(curve: Curve, policy: str, level: float) -> str:
    at = break_even(curve, policy, level)
    if at is None:
        return "always" if curve.energy[policy][0] < level else "never"
    return number(at) if curve.unit == "1" else prefixed(at, curve.unit)


def constant_tables(
    device: Memristor,
    baselines: Mapping[str, Baseline],
    ranges: Mapping[str, Mapping[str, Any]],
) -> list[Html]:
    """Every constant with provenance, source and the range it was varied over."""
    rows = []
    for name, constant in device.constants.items():
        entry = ranges.get(name)
        varied = "" if entry is None else f". Varied {_range(entry)}: {entry['reason']}"
        label = labelled(Html(f"<code>{name}</code>"), f"{constant.source}{varied}")
        rows.append([label, marked(_value(getattr(device, name)), [constant.provenance])])
    per_update = [
        [
            labelled(b.label, b.source),
            marked(_of_baseline(b), [b.provenance]),
        ]
        for b in baselines.values()
    ]
    return [
        table(("device constant", "value"), rows),
        table(("GPU baseline", "of a game, or a synapse and step"), per_update),
    ]


def _value(constant: Quantity | float) -> str:
    if not isinstance(constant, Quantity):
        return f"{constant:.3g}"
    amount, unit = constant.in_best_unit(precision=8).split(maxsplit=1)
    return f"{float(amount):.3g} {unit}"


def _of_baseline(baseline: Baseline) -> str:
    of_game = baseline.game_energy
    return energy(baseline.update_energy if of_game is None else of_game)


def _range(entry: Mapping[str, Any]) -> str:
    if "factor" in entry:
        return f"by a factor of {entry['factor']:g} either way, log-uniform"
    return f"from {entry['low']:g} to {entry['high']:g}, uniform"


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
