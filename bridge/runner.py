"""Independent pieces of work side by side: on this machine's processes, or on a Ray cluster."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from mstpn.synapses.support.command_line import Parser, integer, need_extra
from mstpn.synapses.support.files import one_line

__all__ = ["Outcome", "add_runner_options", "end_with_parent", "run_all"]

_POLL_SECONDS = 5.0

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of one task: a result, or an error in one line.

    Parameters
    ----------
    task : object
    result : object or None
    error : str
        Empty if there is a result.
    """

    task: Task
    result: Result | None
    error: str = ""


def add_runner_options(parser: Parser) -> None:
    """Where the work is done: `processes`, `address`."""
    parser.add_argument(
        "--processes", type=integer(1), default=1, metavar="N", help="on this machine (1)"
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of a Ray cluster whose machines share this disk, or auto; needs mstpn[sweep]",
    )


def run_all(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    *,
    processes: int = 1,
    address: str | None = None,
    progress: Callable[[], Any] | None = None,
) -> Iterator[Outcome[Task, Result]]:
    """Do all tasks, in whatever order they end; one that fails does not stop the rest.

    Parameters
    ----------
    tasks : sequence
    work : callable
        From a task to its result; a module's top level has it, unless one process does it all.
    processes : int
        On this machine. One does the work in this process, unless `progress` is to be called.
    address : str, optional
        Of a Ray cluster that does it instead, one processor a task.
    progress : callable, optional
        Called some seconds apart while tasks run.

    Yields
    ------
    Outcome
        Of each task as it ends.

    Raises
    ------
    ValueError
        If an address is given and Ray is not installed.
    """
    if address is not None:
        yield from _on_cluster(tasks, work, address, progress)
    elif processes == 1 and progress is None:
        for task in tasks:
            yield _outcome(task, partial(work, task))
    else:
        yield from _in_processes(tasks, work, processes, progress or (lambda: None))


def _outcome(task: Task, result: Callable[[], Result]) -> Outcome[Task, Result]:
    try:
        return Outcome(task, result())
    except (OSError, ValueError) as error:
        return Outcome(task, None, one_line(error))
    except Exception as error:
        return Outcome(task, None, one_line(f"{type(error).__name__}: {error}"))


def _begin() -> None:
    """A worker's errors are told by who waits for it."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives
    end_with_parent()


def end_with_parent() -> None:
    """End this process, by SIGTERM, when the one that began it is gone, killed perhaps."""
    parent = multiprocessing.parent_process()

    def wait_for_it() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_it, daemon=True).start()


def _in_processes(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    processes: int,
    progress: Callable[[], Any],
) -> Iterator[Outcome[Task, Result]]:
    left = list(enumerate(tasks))
    while left:
        broken = []
        with _pool(processes) as pool:
            waiting = {pool.submit(work, task): (k, task) for k, task in left}
            for done in _ended(waiting, progress):
                if isinstance(done.exception(), BrokenProcessPool):
                    broken.append(waiting[done])
                else:
                    yield _outcome(waiting[done][1], done.result)
        if broken and processes == 1:  # the first of them was the one at work
            yield Outcome(broken[0][1], None, "its process was killed")
            broken = broken[1:]
        # a process that is killed takes its pool along: who did it shows one by one
        left, processes = sorted(broken, key=lambda pair: pair[0]), 1


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # a training saves and ends
            raise


def _ended(
    waiting: dict[Future[Result], tuple[int, Task]], progress: Callable[[], Any]
) -> Iterator[Future[Result]]:
    pending = set(waiting)
    while pending:
        ended, pending = wait(pending, _POLL_SECONDS, FIRST_COMPLETED)
        progress()
        yield from sorted(ended, key=lambda future: waiting[future][0])


def _on_cluster(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    address: str,
    progress: Callable[[], Any] | None,
) -> Iterator[Outcome[Task, Result]]:
    need_extra("sweep", "ray")
    import ray

    ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(num_cpus=1, max_retries=0)(work)
        of_task = {remote.remote(task): task for task in tasks}
        waiting = list(of_task)
        while waiting:
            ended, waiting = ray.wait(waiting, timeout=_POLL_SECONDS)
            if progress is not None:
                progress()
            for reference in ended:
                yield _outcome(of_task[reference], partial(_of_ray, reference))
    finally:
        ray.shutdown()


def _of_ray(reference: Any) -> Any:
    """A result; what was raised far away is raised as it was there."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise getattr(error, "cause", None) or error from error
