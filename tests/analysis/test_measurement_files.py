"""Files of measurements in the forms that instruments and programs write, against what was put in.

The files are made here: the same traces and pulses in the manner of NumPy, of source-meters, of a
parameter analyser, of spreadsheets and of LabVIEW.
"""

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import scripts
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mstpn.analysis.device.cleaning import nominal
from mstpn.analysis.device.measurements import Measurements
from mstpn.analysis.device.reading import read_measurements
from mstpn.analysis.device.tables import DECAY, PULSES, Table
from mstpn.synapses.support.numerals import decimal_mark, number
from mstpn.synapses.support.sourced import DataError

Array = NDArray[np.float64]

TIMES = [0.0, 0.05, 0.1, 0.2, 0.4, 0.8]
VOLTAGE, TIME = (a.ravel() for a in np.meshgrid([0.1, 0.2, 0.3], TIMES, indexing="ij"))
CONDUCTANCE = 15e-9 + 4e-9 * VOLTAGE + 2e-9 * np.exp(-TIME / (0.02 * np.exp(9 * VOLTAGE)))
PULSE_V = np.array([2.0, 3.0, 4.0, 2.0, 3.0, 4.0])
PULSE_W = np.array([1e-4, 1e-4, 1e-4, 2e-4, 2e-4, 2e-4])
PULSE_G = 1.4e-9 * (PULSE_V / 4) ** 3.3 * PULSE_W / 1e-4


def rows_of(*columns: Array) -> Iterable[tuple[float, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def numpy_savetxt() -> bytes:
    file = io.StringIO()
    rows = np.stack([VOLTAGE, TIME, 1e9 * CONDUCTANCE], axis=1)
    np.savetxt(file, rows, delimiter=",", header="V (V),t (s),G (nS)")
    return file.getvalue().encode()


def numpy_savetxt_blanks() -> bytes:
    file = io.StringIO()
    rows = np.stack([VOLTAGE, TIME, CONDUCTANCE], axis=1)
    header = "made by relax.py\nbias voltage (V) time (s) conductance (S)"
    np.savetxt(file, rows, header=header)
    return file.getvalue().encode()


def source_meter() -> bytes:
    """Preamble, quotes, trailing commas, rows before the pulse, overflows, compliance."""
    lines = [
        '"Model","2450"',
        '"Serial","01234567"',
        '"Compliance","1.0E-06","A"',
        "",
        '"Index","Relative Time (s)","Source Value (V)","V (V)","I (nA)",',
    ]
    for k, (v, t, g) in enumerate(rows_of(VOLTAGE, TIME, CONDUCTANCE)):
        if t == 0:
            lines += [f"{k},{t - 1!r},{v},{v},{v * 12},", f"{k},{t - 0.5!r},{v},{v},{v * 12},"]
        lines.append(f"{k},{t!r},{v},{v},{1e9 * v * g!r},")
        if k == 3:
            lines += ["3,2.5,0.1,0.1,+9.910000E+37,", "3,2.6,0.1,0.1,OVERFLOW,", "3,2.7,0.1,0.1,,"]
            lines += ["3,2.8,0.1,0.1,1000.0,"]
    return "\r\n".join(lines).encode()


def parameter_analyser() -> bytes:
    rows = rows_of(VOLTAGE, VOLTAGE * CONDUCTANCE, TIME)
    head = (
        "SetupTitle, Retention\nTestParameter, Hold, 0.5\nDimension1, 15\nDataName, V1, I1, Time\n"
    )
    return (head + "".join(f"DataValue, {v!r}, {i!r}, {t!r}\n" for v, i, t in rows)).encode()


def european_spreadsheet() -> bytes:
    rows = [";;;", "Messung;3.4.2024;;", "V [mV];t / s;G [nS];Bemerkung;"]
    for v, t, g in rows_of(VOLTAGE, TIME, CONDUCTANCE):
        cells = (f"{1e3 * v:.1f}", f"{t:.2f}", f"{1e9 * g:.12f}", "gut")
        rows.append(";".join(cells).replace(".", ",") + ";")
    rows.insert(6, "100,0;3,00;;Kontakt verloren;")
    rows.insert(8, "")
    return "\n".join(rows).encode("utf-8-sig")


def labview() -> bytes:
    lines = ["LabVIEW Measurement", "Separator\tTab", "***End_of_Header***", "", "Vbias\tTime\tR"]
    lines.append("mV\tms\tM\N{OHM SIGN}")
    for v, t, g in rows_of(VOLTAGE, TIME, CONDUCTANCE):
        lines.append(f"{1e3 * v!r}\t{1e3 * t + 7e5!r}\t{1e-6 / g!r}")
    return "\r\n".join(lines).encode()


def read_back() -> bytes:
    """UTF-16 with tabs, voltages that jitter by 0.2 mV."""
    jitter = np.random.default_rng(0).uniform(-2e-4, 2e-4, len(VOLTAGE))
    rows = rows_of(VOLTAGE + jitter, TIME, CONDUCTANCE)
    text = "".join(f"{v:.6f}\t{t!r}\t{1e9 * g!r}\n" for v, t, g in rows)
    return ("V_meas (V)\tElapsed time (s)\tG (nS)\n".replace("V_meas", "Vbias") + text).encode(
        "utf-16"
    )


def devices_and_polarities() -> bytes:
    """Latin-1 as older programs write it; units in a row; resistances before and after."""
    lines = [
        "Cell;Polarity;Amplitude;PW;R before;R after",
        ";;V;\xb5s;k\N{LATIN SMALL LETTER O}hm;kOhm",
    ]
    for cell in ("A1", "B2"):
        for sign in "+-":
            for v, w, g in rows_of(PULSE_V, PULSE_W, PULSE_G):
                before, after = 1e-8, 1e-8 + (g if sign == "+" else -g)
                cells = f"{cell};{sign};{v!r};{1e6 * w!r};{1e-3 / before!r};{1e-3 / after!r}"
                lines.append(cells)
    return "\n".join(lines).encode("latin-1")


FORMS: Mapping[str, Callable[[], bytes]] = {
    "numpy.savetxt": numpy_savetxt,
    "numpy.savetxt, blanks": numpy_savetxt_blanks,
    "source-meter": source_meter,
    "European spreadsheet": european_spreadsheet,
    "LabVIEW": labview,
    "read back": read_back,
}


def read(folder: Path, content: bytes, table: Table = DECAY, **options: object) -> Measurements:
    path = folder / "file.csv"
    path.write_bytes(content)
    return read_measurements(path, table, **options)  # type: ignore[arg-type]


def check_decay(data: Measurements) -> None:
    np.testing.assert_array_equal(data.si("bias voltage"), np.round(VOLTAGE, 6))
    # of texts with 12 decimals or more, and a sum with 700 s
    np.testing.assert_allclose(data.si("time"), TIME, atol=1e-12)
    np.testing.assert_allclose(data.si("conductance"), CONDUCTANCE, rtol=1e-12)
    assert len(np.unique(data.si("trace"))) == 3


@pytest.mark.parametrize("form", FORMS)
def test_traces_are_read_as_they_were_written(form: str, tmp_path: Path) -> None:
    check_decay(read(tmp_path, FORMS[form]()))


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    said = "; ".join(read(tmp_path, source_meter()).understood)
    assert "header in line 5, cells apart by commas" in said
    assert "bias voltage from 'V (V)'" in said
    assert "not used: 'Index', 'Source Value (V)'" in said
    assert "1 row left out, current at the compliance of 1e-06 A (line 15)" in said
    assert "3 rows left out, blank or no finite reading (lines 12, 13, 14)" in said
    assert "6 rows left out, before the pulse at time 0 (lines 6, 7, 18, 19, 26, 27)" in said
    said = "; ".join(read(tmp_path, read_back()).understood)
    assert "of 3 settings" in said
    said = "; ".join(read(tmp_path, european_spreadsheet()).understood)
    assert "decimal commas" in said
    assert "1 row left out, blank or no finite reading (line 7)" in said


def test_what_the_file_does_not_say_the_user_can(tmp_path: Path) -> None:
    content = parameter_analyser()
    with pytest.raises(
        DataError, match=r"line 4, column 'V1': unit must be .* got none \(--column"
    ):
        read(tmp_path, content)
    renamed = {"V1": "bias voltage (V)", "I1": "current (A)", "Time": "time (s)"}
    check_decay(read(tmp_path, content, renamed=renamed))


def test_devices_and_polarities_are_told_apart(tmp_path: Path) -> None:
    data = read(tmp_path, devices_and_polarities(), PULSES)
    assert data.labels["device"] == ("A1", "B2")
    np.testing.assert_array_equal(data.si("device"), np.repeat([0.0, 1.0], 12))
    np.testing.assert_array_equal(data.si("voltage"), np.tile([*PULSE_V, *-PULSE_V], 2))
    np.testing.assert_allclose(data.si("width"), np.tile(PULSE_W, 4), rtol=1e-12)
    # a difference of conductances of some 10 nS
    np.testing.assert_allclose(data.si("dG"), np.tile([*PULSE_G, *-PULSE_G], 2), atol=1e-22)
    assert "2 devices (A1, B2)" in data.understood


def test_a_repeated_header_or_a_time_that_falls_back_begins_a_repeat(tmp_path: Path) -> None:
    header, *rows = numpy_savetxt().decode().splitlines()
    for again in ([header], []):
        text = "\n".join([header, *rows, *again, *rows])
        assert len(np.unique(read(tmp_path, text.encode()).si("trace"))) == 6
    shuffled = list(np.random.default_rng(1).permutation(rows))
    data = read(tmp_path, "\n".join([header, *shuffled]).encode())
    assert len(np.unique(data.si("trace"))) == 3


def test_a_last_line_that_is_torn_is_left_out(tmp_path: Path) -> None:
    content = european_spreadsheet()
    data = read(tmp_path, content + b"\n100,0;0,9")
    check_decay(data)
    assert "1 row left out, torn at the end of the file (line 24)" in data.understood


HEADER = "V (V);t (s);G (nS)\n"
REFUSED: Mapping[str, tuple[str, str]] = {
    "thousands or decimals": (
        "V (V);t (s);G (nS)\n0;1,234;5\n",
        "commas and points in its numbers can be decimal marks or part thousands; "
        "--decimal point or --decimal comma says which",
    ),
    "both marks": (HEADER + "0,1;1.5;5\n", "commas and points in its numbers can be decimal marks"),
    "unknown unit": ("V (V);t (s);G (G0)\n0;1;5\n", "column 'G (G0)': unit must be one of fS"),
    "which column": ("V1 (V);V2 (V);t (s);G (nS)\n", "column 'V2 (V)': there is 'V1 (V)' already"),
    "no header": ("0.1;1;5\n0.1;2;5\n", "a line above the numbers must name the columns"),
    "decimal commas between commas": (
        "V (V),t (s),G (nS)\n0,1,1,5,5,0\n",
        "line 2: 6 values for 3 columns; if the comma is the decimal mark too, save with",
    ),
    "clock": (HEADER + "0.1;12:30:01;5\n", "line 2, column 't (s)': must be a finite number"),
    "underscores": (HEADER + "0.1;1_0;5\n", "must be a finite number, got '1_0'"),
    "nothing left": (HEADER + "0.1;nan;5\n", "no row has a reading in every column"),
    "spreadsheet": ("PK\x03\x04", "a spreadsheet (xlsx), not text: save the sheet as CSV"),
    "binary": ("V (V);t\x01", "not text, it holds the character '\\x01'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_known_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, message = REFUSED[case]
    with pytest.raises(DataError) as error:
        read(tmp_path, content.encode())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_decimal_mark_can_be_given(tmp_path: Path) -> None:
    content = (HEADER + "0;1,234;5\n").encode()
    assert read(tmp_path, content, decimal=",").si("time")[0] == 0  # counted from its first row
    assert (
        read(tmp_path, (HEADER + "0;0;5\n0;1,234;5\n").encode(), decimal=",").si("time")[1] == 1.234
    )
    assert (
        read(tmp_path, (HEADER + "0;0;5\n0;1,234;5\n").encode(), decimal=".").si("time")[1] == 1234
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_python_writes_them(value: float) -> None:
    assert number(repr(value)) == value
    assert number(repr(value).replace(".", ","), ",") == value


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1,234.5", ".", 1234.5),
        ("1.234,5", ",", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("1'234.5", ".", 1234.5),
        ("\N{MINUS SIGN}1.5D-3", ".", -1.5e-3),
        (" +.5 ", ".", 0.5),
    ],
)
def test_numbers_as_people_write_them(text: str, decimal: str, value: float) -> None:
    assert number(text, decimal, grouped=True) == value


@pytest.mark.parametrize(
    "text", ["1_0", "0x1f", "\u0663", "1e999", "nan", "inf", "1,5", "12,34", ""]
)
def test_nothing_else_is_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="must be a"):
        number(text, grouped=True)


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["0,5", "1"], ","),
        (["1.234"], "."),
        (["1,234"], None),
        (["1,234", "0,1"], ","),
        (["1,234", "1.5"], "."),
        (["1,5", "1.5"], None),
        (["1.234,5"], ","),
        (["1,234,567"], "."),
        (["a.b", "3"], "."),
    ],
)
def test_the_decimal_mark_of_a_file(cells: list[str], mark: str | None) -> None:
    assert decimal_mark(cells) == mark


def test_nominal_settings() -> None:
    rng = np.random.default_rng(2)
    settings = np.repeat([-0.3, 0.0, 0.1, 0.25], 20)
    np.testing.assert_array_equal(nominal(settings + rng.uniform(-2e-4, 2e-4, 80)), settings)
    np.testing.assert_array_equal(nominal(settings), settings)
    swept = np.sort(rng.uniform(0, 1, 2000)).astype(float)  # no settings: nothing is moved
    np.testing.assert_array_equal(nominal(swept), swept)
    fine = np.linspace(0.3, 0.3007, 8)  # settings 0.1 mV apart cannot be told from jitter
    assert len(np.unique(nominal(fine))) == 1


def test_columns_and_marks_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, out = scripts.load("fit_device"), tmp_path / "mine.toml"
    (tmp_path / "file.csv").write_bytes(parameter_analyser())
    arguments = [f"--decay={tmp_path / 'file.csv'}", f"--out={out}", "--column=V1=bias voltage (V)"]
    assert "column 'I1': unit must be" in scripts.refusal(program, arguments, capsys)
    arguments += ["--column=I1=current (A)", "--column=Time=time (s)"]
    wrong = [*arguments, "--column=V9=time (s)"]
    assert "--column: no file has a column 'V9'" in scripts.refusal(program, wrong, capsys)
    wrong = [*arguments, "--column=V9"]
    assert "must be 'HEADER=NAME (UNIT)', got 'V9'" in scripts.refusal(program, wrong, capsys)
    assert program.main(arguments) == 0
    assert "bias voltage from 'V1'" in capsys.readouterr().out
