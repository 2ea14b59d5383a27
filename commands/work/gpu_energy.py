"""The operations of a synapse on a CUDA GPU, timed and metered."""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from mstpn.synapses.support.files import write_json

N_UNITS = 64
OWN_SIZE = 169_984
SIZES = sorted([*(2**k for k in range(12, 25)), OWN_SIZE])
PRECISIONS = {"fp16": torch.float16, "fp32": torch.float32}
N_TIMED = 100
MEASURED_SECONDS = 1.0

Operation = Callable[[dict[str, Tensor]], None]


class Meter(Protocol):
    """Measures a repeated call."""

    def seconds(self, run: Callable[[], None]) -> float:
        """Median time of one run."""

    def joules(self, run: Callable[[], None]) -> float:
        """Board energy of one run."""


class GpuMeter:
    """CUDA events for time, NVML's energy counter of the board for energy.

    Raises
    ------
    ValueError
        If there is no CUDA GPU, no NVML, or a board without the counter.
    """

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise ValueError("needs a CUDA GPU and a torch build with CUDA, found none")
        try:
            import pynvml
        except ImportError as error:
            raise ValueError("needs nvidia-ml-py: pip install -e '.[gpu]'") from error
        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
            uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
            self._board = pynvml.nvmlDeviceGetHandleByUUID(uuid)
            self._millijoule()
        except pynvml.NVMLError as error:
            raise ValueError(f"NVML: {error}") from error

    @property
    def name(self) -> str:
        """The GPU's name."""
        return torch.cuda.get_device_name(0)

    def _millijoule(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._board))

    def seconds(self, run: Callable[[], None]) -> float:
        """Median of `N_TIMED` runs between CUDA events, after ten to warm up."""
        for _ in range(10):
            run()
        times = []
        for _ in range(N_TIMED):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            times.append(1e-3 * start.elapsed_time(end))
        return statistics.median(times)

    def joules(self, run: Callable[[], None]) -> float:
        """Counter's difference over at least `MEASURED_SECONDS` of runs, per run."""
        torch.cuda.synchronize()
        runs, before, started = 0, self._millijoule(), time.perf_counter()
        while time.perf_counter() - started < MEASURED_SECONDS:
            for _ in range(N_TIMED):
                run()
            runs += N_TIMED
            torch.cuda.synchronize()
        return 1e-3 * (self._millijoule() - before) / runs


def state(n_synapses: int, dtype: torch.dtype, device: str) -> dict[str, Tensor]:
    """Tensors of one layer: W, Lambda, Gamma, F and buffers (N, M); z (M,); h (N,)."""
    generator = torch.Generator(device).manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        values = torch.rand(*shape, generator=generator, device=device) - 0.5
        return values.to(dtype)

    shape = (N_UNITS, n_synapses // N_UNITS)
    tensors = {name: uniform(*shape) for name in ("W", "Gamma", "F")}
    tensors["Lambda"] = 0.5 + 0.5 * uniform(*shape)
    tensors["Gamma"] *= 0.01
    tensors |= {name: torch.zeros_like(tensors["W"]) for name in ("total", "outer", "update")}
    tensors |= {"z": uniform(shape[1]), "b": uniform(N_UNITS)}
    tensors |= {name: torch.zeros_like(tensors["b"]) for name in ("current", "h")}
    return tensors


def add_weights(s: dict[str, Tensor]) -> None:
    """W + F."""
    torch.add(s["W"], s["F"], out=s["total"])


def multiply(s: dict[str, Tensor]) -> None:
    """(W + F) z + b."""
    torch.addmv(s["b"], s["total"], s["z"], out=s["current"])


def activate(s: dict[str, Tensor]) -> None:
    """Tanh."""
    torch.tanh(s["current"], out=s["h"])


def correlate(s: dict[str, Tensor]) -> None:
    """H z^T."""
    torch.outer(s["h"], s["z"], out=s["outer"])


def scale(s: dict[str, Tensor]) -> None:
    """Gamma h z^T."""
    torch.mul(s["Gamma"], s["outer"], out=s["update"])


def decay(s: dict[str, Tensor]) -> None:
    """Lambda F."""
    torch.mul(s["Lambda"], s["F"], out=s["F"])


def learn(s: dict[str, Tensor]) -> None:
    """Lambda F + Gamma h z^T."""
    torch.add(s["F"], s["update"], out=s["F"])


UNFUSED: dict[str, Operation] = {
    "add": add_weights,
    "multiply": multiply,
    "tanh": activate,
    "correlate": correlate,
    "scale": scale,
    "decay": decay,
    "learn": learn,
}


def step(
    W: Tensor, Lambda: Tensor, Gamma: Tensor, F: Tensor, z: Tensor, b: Tensor, h: Tensor
) -> None:
    """One whole step, written for a compiler to fuse; F and h are overwritten."""
    h.copy_(torch.tanh(((W + F) * z).sum(1) + b))
    F.copy_(Lambda * F + Gamma * (h[:, None] * z))


def fused(compiled: Callable[..., None]) -> dict[str, Operation]:
    """The operations of a fused step: one."""

    def run(s: dict[str, Tensor]) -> None:
        compiled(*(s[name] for name in ("W", "Lambda", "Gamma", "F", "z", "b", "h")))

    return {"step": run}


def measure(
    operations: Mapping[str, Operation], n_synapses: int, tensors: dict[str, Tensor], meter: Meter
) -> dict[str, Any]:
    """Time and energy of each operation at one size."""
    measured = {}
    for name, operation in operations.items():

        def run(operation: Operation = operation) -> None:
            operation(tensors)

        measured[name] = {"time_s": meter.seconds(run), "energy_j": meter.joules(run)}
    return {"synapses": n_synapses, "operations": measured}


def measure_all(meter: Meter, gpu: str, device: str, sizes: list[int]) -> dict[str, Any]:
    """Every form, precision and size, as the content of the data file."""
    forms = {"unfused": UNFUSED, "fused": fused(torch.compile(step, dynamic=False))}
    torch._dynamo.config.cache_size_limit = 4 * len(sizes) * len(PRECISIONS)
    runs = []
    with tqdm(total=len(forms) * len(PRECISIONS) * len(sizes), disable=None) as bar:
        for form, operations in forms.items():
            for precision, dtype in PRECISIONS.items():
                rows = []
                for n in sizes:
                    bar.set_description(f"{form} {precision} {n:,}")
                    with torch.inference_mode():
                        rows.append(measure(operations, n, state(n, dtype, device), meter))
                    bar.update()
                runs.append({"form": form, "precision": precision, "sizes": rows})
    return {
        "gpu": gpu,
        "torch": torch.__version__,
        "method": f"time: median of {N_TIMED}; energy: NVML board counter over "
        f">= {MEASURED_SECONDS:g} s of runs, idle power included",
        "runs": runs,
    }


def run(options: argparse.Namespace) -> None:
    """Measure and write.

    Raises
    ------
    ValueError
        If there is no such GPU, or it fails at the work.
    """
    try:
        meter = GpuMeter()
        content = measure_all(meter, meter.name, "cuda", SIZES)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    write_json(options.out, content)
    print(f"{options.out}: pass it to mstpn report as --measured-gpu")
