"""Pieces of work side by side: failures, killed processes, progress."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mstpn.bridge.runner import Outcome, run_all


def work(task: int) -> int:
    if task == 2:
        raise ValueError("two\nis not wanted")
    if task == 3:
        raise KeyError("three")
    if task == 4 and os.environ.get("KILLING"):
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_does_not_stop_the_rest(processes: int) -> None:
    found = sorted(run_all(range(6), work, processes=processes), key=lambda o: o.task)
    assert found == [
        Outcome(0, 0),
        Outcome(1, 1),
        Outcome(2, None, "two is not wanted"),
        Outcome(3, None, "KeyError: 'three'"),
        Outcome(4, 16),
        Outcome(5, 25),
    ]


def test_a_killed_process_is_the_failure_of_its_task_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KILLING", "1")
    calls = []
    outcomes = run_all((0, 4, 5, 6), work, processes=2, progress=lambda: calls.append(1))
    found = {o.task: o for o in outcomes}
    assert found[4] == Outcome(4, None, "its process was killed")
    assert {t: o.result for t, o in found.items() if t != 4} == {0: 0, 5: 25, 6: 36}
    assert calls


PROGRAM = """
import os, sys, time
from pathlib import Path
from mstpn.bridge.runner import run_all
from mstpn.synapses.support.command_line import exit_status

def long_work(task):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    sys.exit(exit_status("x", lambda: list(run_all(range(4), long_work, processes=2))))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_workers_end_with_the_program_that_began_them(
    number: int, status: int, tmp_path: Path
) -> None:
    program, pids = tmp_path / "program.py", tmp_path / "pids"
    program.write_text(PROGRAM)
    pids.mkdir()
    running = subprocess.Popen([sys.executable, str(program), str(pids)], stderr=subprocess.PIPE)
    while len(list(pids.iterdir())) < 2:
        assert running.poll() is None
        time.sleep(0.1)
    running.send_signal(number)  # to it alone, as `kill` does
    assert running.wait(timeout=60) == status
    workers = [Path("/proc", pid.name, "stat") for pid in pids.iterdir()]
    ends = time.monotonic() + 60
    while any(map(_lives, workers)):
        assert time.monotonic() < ends
        time.sleep(0.1)


def _lives(stat: Path) -> bool:
    """Whether there is such a process, and not as a zombie."""
    try:
        return stat.read_text().rsplit(")")[-1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
