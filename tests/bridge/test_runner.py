"""Pieces of work side by side: failures, killed processes, progress."""

import os
import signal

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
