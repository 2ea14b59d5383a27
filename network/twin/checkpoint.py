"""Checkpoints: tensors as safetensors, everything else as JSON beside them; no pickle.

`NAME.safetensors` holds the parameters by name, with Lambda itself and not what a
trainer made it from. `NAME.json` holds the configuration, the shapes and units, the
command and seed that made it, and the versions it was made with. Reading one loads no torch.
"""

import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mstpn import __version__
from mstpn.network.front_end import CONVOLUTIONS, N_FEATURES
from mstpn.network.twin.config import TwinConfig
from mstpn.network.wiring import line_values, n_features_of
from mstpn.synapses.support.files import atomic_write, one_line, write_json
from mstpn.synapses.write_limits import WriteLimits

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mstpn.network.twin.agent import MSTPN
    from mstpn.network.twin.layer import STHebbLayer

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Twin",
    "load_checkpoint",
    "save_checkpoint",
    "without_feedback",
]

_FORMAT = 1
_LARGEST_METADATA_BYTES = 2**20
_UNITS = {"layer.decay": "1 per network step"}

Shapes = dict[str, tuple[int, ...]]


class Twin(Protocol):
    """A torch network around one m-STPN layer."""

    config: TwinConfig
    layer: "STHebbLayer"

    def state_dict(self) -> dict[str, Any]:
        """Its parameters by name."""


_Net = TypeVar("_Net", bound="nn.Module")


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or not of this network; says which and why."""


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Parameters
    ----------
    config : TwinConfig
    tensors : dict of str to numpy.ndarray, float32
        `layer.weight`, `layer.decay`, `layer.gamma`, `layer.bias`, and those of what is around
        the layer: of the agent `front_end.*`, `action_head.*`, `value_head.*`.
    metadata : dict
        The whole JSON file.
    """

    config: TwinConfig
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]

    @property
    def n_features(self) -> int:
        """Number of features per step."""
        return n_features_of(self.tensors["layer.weight"].shape, self.config.feedback)

    def twin(self, dtype: "torch.dtype | None" = None) -> "MSTPN":
        """The agent in torch with these parameters, in float32 if no type is given."""
        from mstpn.network.twin.agent import MSTPN

        return self.fill(MSTPN(self.config), dtype)

    def fill(self, net: _Net, dtype: "torch.dtype | None" = None) -> _Net:
        """Give a network these parameters, and return it."""
        import torch

        low, high = self.config.decay_min, self.config.decay_max
        state = {name: torch.from_numpy(value) for name, value in self.tensors.items()}
        lines = line_values(self.config.bias_lines, self.tensors["layer.decay"], self.n_features)
        del state["layer.decay"]
        decay = torch.from_numpy(lines).double()
        state["layer.decay_logit"] = torch.logit((decay - low) / max(high - low, 1e-12), eps=1e-12)
        net.to(dtype or torch.float32).load_state_dict(state)
        return net


def without_feedback(checkpoint: Checkpoint) -> Checkpoint:
    """The same agent whose h is not fed back: without the recurrent synapses."""
    tensors = {
        name: np.ascontiguousarray(checkpoint.tensors[name][:, : checkpoint.n_features])
        for name in ("layer.weight", "layer.decay", "layer.gamma")
    }
    return replace(
        checkpoint,
        config=replace(checkpoint.config, feedback=False),
        tensors=checkpoint.tensors | tensors,
    )


def save_checkpoint(net: Twin, path: Path, training: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and the JSON beside it.

    Parameters
    ----------
    net : Twin
    path : Path
    training : mapping
        How the parameters were made: command, seed, steps, returns.
    """
    tensors = {k: v.float().cpu().numpy() for k, v in net.state_dict().items()}
    del tensors["layer.decay_logit"]
    tensors["layer.decay"] = net.layer.decay.detach().float().cpu().numpy()
    # safetensors writes the memory of an array as it lies, whatever its strides say
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    metadata = {
        "format": _FORMAT,
        "config": _config_to_json(net.config),
        "tensors": {
            name: {"shape": list(value.shape), "unit": _UNITS.get(name, "1")}
            for name, value in sorted(tensors.items())
        },
        "training": dict(training),
        "versions": {"python": platform.python_version()}
        | _versions("torch", "numpy", "ale-py")
        | {"mstpn": __version__},
    }
    atomic_write(path, save(tensors))
    write_json(path.with_suffix(".json"), metadata)


def _versions(*packages: str) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def load_checkpoint(
    path: str | Path, build: Callable[[dict[str, Any]], Twin] | None = None
) -> Checkpoint:
    """Read and check a checkpoint.

    Parameters
    ----------
    path : str or Path
        The .safetensors file; the .json of the same name lies beside it.
    build : callable, optional
        From the JSON file's content to the network it describes, the Pong agent if absent;
        a KeyError, TypeError or ValueError means that the content describes none.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, or a tensor is missing, unknown, of a wrong shape
        or type, or not finite; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path}: no such file")
    metadata = _read_metadata(path.with_suffix(".json"))
    try:
        config, expected = _agent(metadata) if build is None else _built(metadata, build)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"checkpoint {path.with_suffix('.json')}: config: {one_line(error)}"
        ) from error
    try:
        with safe_open(path, framework="np") as file:
            _check_header(file, expected)
            tensors = {name: file.get_tensor(name) for name in sorted(expected)}
    except (OSError, SafetensorError, MemoryError, CheckpointError) as error:
        raise CheckpointError(f"checkpoint {path}: {one_line(error)}") from error
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"checkpoint {path}: {name} must be finite, got NaN or infinity")
    return Checkpoint(config, tensors, metadata)


def _check_header(file: Any, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Names, shapes and types, before any tensor is read."""
    found = set(file.keys())
    for name in sorted(expected.keys() ^ found):
        raise CheckpointError(f"{'unknown' if name in found else 'missing'} tensor {name!r}")
    for name, shape in expected.items():
        header = file.get_slice(name)
        if tuple(header.get_shape()) != shape:
            raise CheckpointError(
                f"{name} must have shape {shape}, got {tuple(header.get_shape())}"
            )
        if header.get_dtype() != "F32":
            raise CheckpointError(f"{name} must be float32, got {header.get_dtype()}")


def _read_metadata(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_METADATA_BYTES:
            raise CheckpointError(f"checkpoint {path}: larger than {_LARGEST_METADATA_BYTES} bytes")
        metadata = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"checkpoint {path}: {one_line(error)}") from error
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise CheckpointError(f"checkpoint {path}: 'format' must be {_FORMAT}")
    return metadata


def _config_to_json(config: TwinConfig) -> dict[str, Any]:
    """JSON has no infinity, which is what limits are by default: it is left out."""
    content = asdict(config)
    if config.limits is not None:
        limits = {k: v for k, v in asdict(config.limits).items() if math.isfinite(v)}
        content["limits"] = limits
    return content


def _config(content: Any) -> TwinConfig:
    if not isinstance(content, dict):
        raise ValueError(f"must be an object, got {content!r}")
    limits = content.get("limits")
    if limits is not None:
        limits = WriteLimits(**{name: float(value) for name, value in dict(limits).items()})
    return TwinConfig(**content | {"limits": limits})


def _agent(metadata: dict[str, Any]) -> tuple[TwinConfig, Shapes]:
    """The Pong agent: configuration and shapes of its tensors."""
    config = _config(metadata["config"])
    n, n_pre = config.n_hidden, N_FEATURES + config.n_hidden * config.feedback
    shapes: Shapes = {f"layer.{name}": (n, n_pre) for name in ("weight", "decay", "gamma")}
    shapes["layer.bias"] = (n,)
    for name, size in (("action_head", config.n_actions), ("value_head", 1)):
        shapes |= {f"{name}.weight": (size, n), f"{name}.bias": (size,)}
    for k, (n_in, n_out, size, _) in enumerate(CONVOLUTIONS, 1):
        shapes[f"front_end.conv{k}.weight"] = (n_out, n_in, size, size)
        shapes[f"front_end.conv{k}.bias"] = (n_out,)
    return config, shapes


def _built(
    metadata: dict[str, Any], build: Callable[[dict[str, Any]], Twin]
) -> tuple[TwinConfig, Shapes]:
    """A network of torch, without its memory: the same."""
    import torch

    with torch.device("meta"):
        net = build(metadata)
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    del shapes["layer.decay_logit"]
    return net.config, shapes | {"layer.decay": shapes["layer.weight"]}
