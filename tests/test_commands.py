"""The command `mstpn`, and the scripts that are one line of it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import scripts

import mstpn
from mstpn.commands.main import COMMANDS, main
from mstpn.synapses.support.command_line import exit_status

EXAMPLES = sorted(scripts.FOLDER.glob("*.py"))
HEAVY = {"torch", "brian2", "scipy", "matplotlib", "numba", "gymnasium", "ale_py", "xarray"}


def test_version_and_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"mstpn {mstpn.__version__}\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in printed
        assert command.what in printed


@pytest.mark.parametrize("words", [[], ["nothing"], ["--games", "3"]])
def test_what_is_no_command_is_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    printed = capsys.readouterr()
    assert (stop.value.code, printed.err.count("\n"), printed.out) == (2, 1, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    assert printed.startswith(f"usage: mstpn {name} ")


def test_examples_are_the_commands() -> None:
    named = {path.read_text().split('main(["')[1].split('"')[0] for path in EXAMPLES}
    assert named == COMMANDS.keys() - {"train", "evaluate"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from mstpn.commands.main import COMMANDS, main\n"
        "for words in ([], *([name] for name in COMMANDS)):\n"
        "    try:\n"
        "        main([*words, '--help'])\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0, words\n"
        f"    heavy = {HEAVY} & sys.modules.keys()\n"
        "    assert not heavy, (words, heavy)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/", stdout=subprocess.DEVNULL)


def test_a_bad_option_loads_nothing_heavy() -> None:
    lines = [
        ["train", "--total-steps", "0"],
        ["sweep-decay", "--total-steps", "0"],
        ["train-table", "--vary", "energy-price=-1", "--out", "runs"],
        ["retrieval", "--pairs", "27"],
        ["ablation", "--only", "legs"],
        ["robustness", "--levels", "noise=1"],
        ["sweep-device", "--load", "x.npy", "--constant", "colour", "--values", "1"],
        ["working-memory", "--cued", "7"],
    ]
    code = (
        "import sys\n"
        "from mstpn.commands.main import main\n"
        f"for words in {lines}:\n"
        "    try:\n"
        "        main(words)\n"
        "        sys.exit(f'{words} did something')\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 2, words\n"
        f"    heavy = {HEAVY} & sys.modules.keys()\n"
        "    assert not heavy, (words, heavy)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd="/", stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == len(lines)


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("xarray", "mstpn.analysis.energy.ledger", "mstpn.commands.work.report"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "xarray", None)
    assert main(["report", "--paper-check"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mstpn report: needs pip install 'mstpn[analysis]': ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("module", ["mstpn.nowhere", "json.nowhere"])
def test_a_module_missing_from_what_is_installed_is_no_missing_extra(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_arguments: list[str]) -> None:
        importlib.import_module(module)

    monkeypatch.setattr(scripts.load("bench"), "main", broken)
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        main(["bench"])


def test_a_cluster_needs_an_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scripts.uninstall("ray", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["sweep-decay", "--ranges", "0:0", "--seeds", "1", "--address", "auto"]) == 2
    assert capsys.readouterr().err.startswith(
        "mstpn sweep-decay: needs pip install 'mstpn[sweep]': "
    )


def test_what_no_program_expected_of_a_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_arguments: list[str]) -> None:
        raise OSError(28, "No space left on device", "results.csv")

    monkeypatch.setattr(scripts.load("sweep_decay"), "main", full)
    assert main(["sweep-decay"]) == 2
    said = capsys.readouterr().err
    assert said == "mstpn sweep-decay: [Errno 28] No space left on device: 'results.csv'\n"


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "sys.exit(exit_status('x', lambda: print('line\\n' * 100_000)))"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    assert reader.stdout.readline() == "line\n"
    reader.stdout.close()
    assert (reader.wait(), reader.stderr.read()) == (141, "")


def test_a_job_of_a_script_which_ignores_interrupts_is_ended_by_one() -> None:
    code = (
        "import os, signal, sys\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "def work():\n"
        "    import mstpn.synapses.memristor\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(exit_status('x', work))"
    )
    job = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, code]
    done = subprocess.run(job, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "x: stopped\n")


def test_an_interrupt_ends_a_program_and_not_only_its_run_of_brian2() -> None:
    code = (
        "import os, signal, sys\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "def work():\n"
        "    import mstpn.commands.work\n"
        "    from brian2 import Network, NetworkOperation, ms, prefs\n"
        "    prefs.codegen.target = 'numpy'\n"
        "    interrupt = lambda t: os.kill(os.getpid(), signal.SIGINT)\n"
        "    Network(NetworkOperation(interrupt, dt=1 * ms)).run(5 * ms)\n"
        "    print('went on')\n"
        "sys.exit(exit_status('x', work))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "x: stopped\n")


def test_an_interrupt_within_a_destructor_is_not_lost() -> None:
    code = (
        "import os, signal, sys, time\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "class Interrupted:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n"
        "def work():\n"
        "    Interrupted()\n"
        "    time.sleep(20)\n"
        "    print('went on')\n"
        "sys.exit(exit_status('x', work))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "x: stopped\n")


def test_an_interrupt_while_a_network_is_built_is_one_line() -> None:
    code = (
        "import gc, sys\n"
        "import mstpn.commands.work\n"
        "from mstpn.synapses.support.command_line import exit_status\n"
        "def work():\n"
        "    from brian2 import NeuronGroup\n"
        "    group = NeuronGroup(1, 'v : 1')\n"
        "    raise KeyboardInterrupt\n"
        "status = exit_status('x', work)\n"
        "gc.collect()\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "x: stopped\n")


def test_an_interrupt_while_compiled_code_returns_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    def broken() -> None:
        raise SystemError("bad call")

    assert exit_status("x", interrupted) == 130
    assert capsys.readouterr().err == "x: stopped\n"
    with pytest.raises(SystemError, match="bad call"):
        exit_status("x", broken)


def test_a_clone_of_the_packages_name_is_the_package(tmp_path: Path) -> None:
    (tmp_path / "mstpn").symlink_to(scripts.FOLDER.parent, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-m", "mstpn", "--version"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"mstpn {mstpn.__version__}\n", done.stderr
