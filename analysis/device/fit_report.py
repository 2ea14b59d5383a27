"""What a fit of a device found: its file, a summary, numbers for a program."""

import json
from typing import Any

from mstpn.analysis.device.constants import UNITS, Found
from mstpn.analysis.device.fit import DeviceFit
from mstpn.analysis.device.headings import units
from mstpn.analysis.device.least_squares import CONFIDENCE, Fit
from mstpn.analysis.device.measurements import shown
from mstpn.analysis.device.verdict import Verdict
from mstpn.synapses.device_file import read_device_file

__all__ = ["device_toml", "numbers", "quality", "summary", "verdict"]


def device_toml(fit: DeviceFit, name: str) -> str:
    """The device file, in the form of `synapses/srtio3.toml`.

    Parameters
    ----------
    fit : DeviceFit
        Constants that it keeps are copied from the base's file as they stand there.
    name : str
        Of the device.
    """
    doubts = "".join(f"# DO NOT TRUST IT: {_text(doubt)[1:-1]}.\n" for doubt in fit.doubts)
    tables = [
        f"# Constants marked `measured` were fitted, the others are those of {fit.base.name}.\n"
        "# What each of them means: synapses/srtio3.toml.\n"
        f"{doubts}\nname = {_text(name)}\n"
    ]
    for field, entry in read_device_file(fit.base).items():
        if field == "name":
            continue
        if field in fit.found:
            replacement = fit.found[field]
            value = float(replacement.value / units(UNITS[field])[entry["unit"]])
            entry |= {"value": value, **vars(replacement.constant)}
            if fit.doubts and replacement.interval is not None:
                entry["source"] += "; doubtful, see the head of the file"
        tables.append(
            f"[{field}]\nvalue = {entry['value']!r}\n"
            + "".join(f"{key} = {_text(entry[key])}\n" for key in ("unit", "provenance", "source"))
        )
    return "\n".join(tables)


def _text(value: str) -> str:
    """A TOML string; JSON's escapes are a part of TOML's, but for one character."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def summary(fit: DeviceFit) -> str:
    """For a person: what was read, what was found, how well it fits, what was kept."""
    width = max(map(len, fit.found))
    lines = [
        f"{name:{width}}  {shown(value):>10}  {constant.provenance}: {constant.source}"
        for name, (value, _, constant) in fit.found.items()
    ]
    kept = (f"{name} ({fit.device.constants[name].provenance})" for name in fit.kept)
    judged = map(_judged, fit.fits, fit.verdicts)
    kept_line = f"kept from {fit.base}: {', '.join(kept)}"
    return "\n".join([*_understood(fit), "", *lines, "", *judged, "", kept_line])


def verdict(fit: DeviceFit) -> str:
    """Whether to trust it, in one sentence."""
    if not fit.doubts:
        return "trust it: no test of the fits objects"
    return f"DO NOT TRUST IT, because {'; '.join(fit.doubts)}"


def _understood(fit: DeviceFit) -> list[str]:
    """One paragraph a file."""
    files = {str(f.data.path): f.data for f in fit.fits}
    return [
        f"{path}: {len(data)} rows; {'; '.join(data.understood)}." for path, data in files.items()
    ]


def _judged(fit: Fit, judgement: Verdict) -> str:
    line = (
        f"{fit.data.path}: {fit.data.headers[fit.quantity]!r} of {fit.used.sum()} rows "
        f"by {fit.n_parameters} parameters, {quality(fit)}: {judgement}"
    )
    return "\n".join([line, *(f"    note: {note}" for note in judgement.notes)])


def quality(fit: Fit) -> str:
    """How well a fit describes its rows."""
    chi = fit.reduced_chi_squared
    goodness = f"R\N{SUPERSCRIPT TWO} = {fit.r_squared:.5g}"
    if chi is not None:
        goodness += f", \N{GREEK SMALL LETTER CHI}\N{SUPERSCRIPT TWO}/dof = {chi:.3g}"
    return goodness


def numbers(fit: DeviceFit) -> dict[str, Any]:
    """For a program: constants and intervals in SI units, quality of every fit."""
    entries = {
        name: {
            "value": float(getattr(fit.device, name)),
            "unit": UNITS[name],
            "interval": _interval(fit.found.get(name)),
            "kept": name in fit.kept,
            "provenance": constant.provenance,
            "source": constant.source,
        }
        for name, constant in fit.device.constants.items()
    }
    fits = [
        {
            "file": str(f.data.path),
            "column": f.data.headers[f.quantity],
            "rows": int(f.used.sum()),
            "degrees_of_freedom": f.dof,
            "r_squared": f.r_squared,
            "reduced_chi_squared": f.reduced_chi_squared,
            "devices": len(f.each),
            "trusted": judgement.trusted,
            "doubts": list(judgement.doubts),
            "notes": list(judgement.notes),
        }
        for f, judgement in zip(fit.fits, fit.verdicts, strict=True)
    ]
    return {
        "base": str(fit.base),
        "confidence": CONFIDENCE,
        "decay_duration_s": float(fit.device.decay_duration),
        "trusted": not fit.doubts,
        "doubts": list(fit.doubts),
        "understood": {str(f.data.path): list(f.data.understood) for f in fit.fits},
        "constants": entries,
        "fits": fits,
    }


def _interval(replacement: Found | None) -> list[float] | None:
    return (
        None
        if replacement is None or replacement.interval is None
        else [float(e) for e in replacement.interval]
    )
