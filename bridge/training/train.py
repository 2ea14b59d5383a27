"""Train the m-STPN agent on Pong by reinforcement learning.

    mstpn train --seed 1 --out runs/pong

The state (h, F) is carried from one rollout to the next and zeroed when a game ends;
minibatches are whole sequences of some of the games. `--collect-beside` plays the next rollout
while the last one is used, on a core of its own, by the agent before that update. The range of
Lambda is kept by the twin's parametrisation, the weights' range by clamping after every update.
By default the device's own range of Lambda, and weights well inside its conductance window.

The folder gets `last` and `best` (by greedy evaluation games) as checkpoints, the log, and
`state.safetensors`, from which `--resume` goes on: parameters, optimiser, schedule and
curve continue; the games start anew, from seeds that follow from the seed and the step.
"""

import contextlib
import copy
import itertools
import json
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm

from mstpn.bridge.training.collect import Collector, put_on
from mstpn.bridge.training.evaluate import evaluate, pong_environments
from mstpn.bridge.training.log import TrainingLog
from mstpn.bridge.training.options import MAY_CHANGE, SPREADS, Options
from mstpn.bridge.training.positions import PositionHead
from mstpn.bridge.training.ppo import Rollout, advantages, losses, total_loss
from mstpn.bridge.training.teacher import Teacher
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.agent import MSTPN, PixelScale
from mstpn.network.twin.checkpoint import load_checkpoint, save_checkpoint, without_feedback
from mstpn.network.twin.config import INITIAL_GAMMA, TwinConfig
from mstpn.network.twin.memory import keep_freed_memory
from mstpn.network.twin.optimiser import adam
from mstpn.network.twin.threads import require_parallel_launches
from mstpn.synapses.joules import Charges
from mstpn.synapses.support.files import atomic_write, one_line, replacing

__all__ = ["Trainer"]

_PLAYER = 2**40
"""Moves the seed of the actions away from that of the minibatches, where both draw at once."""
_LIT = 0.1
"""Bias of a channel that begins active everywhere: some ten times a mean feature of Pong."""


class Trainer:
    """Recurrent PPO or A2C; `run` is the whole training.

    Parameters
    ----------
    options : Options

    Raises
    ------
    ValueError
        If the folder holds another training, or none to resume, or one of other parameters, as
        another version wrote it, or there is no such device.
    """

    def __init__(self, options: Options) -> None:
        self.options = o = options
        if o.torch_device == "cuda" and not torch.cuda.is_available():
            raise ValueError("torch-device: cuda was asked for, but torch finds no CUDA GPU")
        keep_freed_memory()
        torch.manual_seed(o.seed)
        self.device = torch.device(o.torch_device)
        self.generator = torch.Generator().manual_seed(o.seed)
        n_threads = 1 if o.collect_beside else 0  # the other core is the update's
        env = pong_environments(o.n_envs, sticky=o.sticky, n_threads=n_threads)
        n_actions = int(env.single_action_space.n)  # type: ignore[attr-defined]
        config = TwinConfig(
            *(o.n_hidden, n_actions, o.normalisation, o.decay_min, o.decay_max, o.write_limits),
            bias_lines=o.bias_lines,
            feedback=not o.no_feedback,
        )
        self.net = MSTPN(config)
        self.net.front_end.pixels = PixelScale(o.pixel_zero, o.pixel_unit)
        self.initial: dict[str, Any] | None = None
        if o.initial and not o.resume:
            self._start_from(Path(o.initial))
        if o.initial_front_end and not o.resume:
            self._see_as(Path(o.initial_front_end))
        self.net.front_end.requires_grad_(not o.hold_front_end)
        teacher = None
        if o.teacher:
            teacher = Teacher.load(Path(o.teacher), n_actions, o.n_envs, self.device)
        self.position_head = PositionHead(o.n_hidden)
        self.learner = nn.ModuleDict({"net": self.net, "position_head": self.position_head})
        self.learner.to(self.device)
        self._start_layer()
        self.optimiser = adam(
            self.learner, o.learning_rate, epsilon=1e-5, decay_rate=o.decay_learning_rate
        )
        self.start = self.net.layer.learned()
        self.step = 0
        self.returns: deque[float] = deque(maxlen=100)
        self.best = -np.inf
        self.folder = Path(o.out)
        self.elapsed = 0.0
        self.history: list[dict[str, Any]] = [{"command": o.command, "from_step": 0}]
        if o.resume:
            self._restore()
        elif (self.folder / "state.safetensors").exists():
            raise ValueError(f"{self.folder} holds a training: say --resume, or another --out")
        self.charges = None
        if self.device.type == "cpu" and o.normalisation != "stpn":
            self.charges = Charges.of(o.memristor, STEP_DURATION).bare()
        elif o.energy_price:
            raise ValueError("energy-price must be 0 on cuda and with the normalisation stpn")
        self.log = TrainingLog(self.folder, self.step)
        player, generator = self.net, self.generator
        if o.collect_beside:
            player = copy.deepcopy(self.net)
            generator = torch.Generator().manual_seed(_PLAYER + o.seed + self.step)
        self.collector = Collector(o, env, player, teacher, generator, self.step)

    def _start_from(self, path: Path) -> None:
        checkpoint, config = load_checkpoint(path), self.net.config
        low, high = config.decay_min, config.decay_max
        other = ("decay_min", "decay_max", "limits", "bias_lines")
        if checkpoint.config.feedback and not config.feedback:
            checkpoint = without_feedback(checkpoint)
        if replace(checkpoint.config, **{name: getattr(config, name) for name in other}) != config:
            raise ValueError(
                f"initial: {path} must be of the same network, {config}, but for "
                f"{', '.join(other)}, got {checkpoint.config}"
            )
        if checkpoint.config != config:
            margin = 0.02 * (high - low)  # at the very end of its range Lambda has no gradient
            decay = checkpoint.tensors["layer.decay"].clip(low + margin, high - margin)
            tensors = checkpoint.tensors | {"layer.decay": decay}
            checkpoint = replace(checkpoint, config=config, tensors=tensors)
        pixels, self.net = self.net.front_end.pixels, checkpoint.twin()
        self.net.front_end.rescale(pixels)
        self.initial = checkpoint.metadata.get("training")

    def _see_as(self, path: Path) -> None:
        """Begin with the front-end of a checkpoint, on the scale of this training."""
        pixels = self.net.front_end.pixels
        self.net.front_end = load_checkpoint(path).twin().front_end
        self.net.front_end.rescale(pixels)

    @torch.no_grad()
    def _start_layer(self) -> None:
        """What of the layer's start the options say."""
        o, layer = self.options, self.net.layer
        if o.initial_decay and not o.resume:
            share = (o.initial_decay - o.decay_min) / (o.decay_max - o.decay_min)
            layer.decay_logit.fill_(float(np.log(share / (1 - share))))
        n_lit = 0 if o.resume or o.initial_front_end else o.lit_channels
        self.net.front_end.conv2.bias[:n_lit] = _LIT  # type: ignore[index]
        if o.contrast_only:
            self.net.front_end.see_contrast_only(o.lit_channels)
        if not o.initial and not o.resume:
            layer.gamma.mul_(o.initial_gamma / INITIAL_GAMMA)
        if o.no_memory:
            layer.gamma.zero_()
            layer.gamma.requires_grad_(False)

    def run(self) -> None:
        """Train until `total_steps`, saving every `save_minutes` and at the end.

        SIGINT and SIGTERM end it after the update in progress, with everything saved.
        """
        o = self.options
        stopped: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        last_save = started = time.monotonic()
        already, per_update = self.elapsed, o.n_envs * o.rollout_length
        with (
            self._rollouts() as rollouts,
            tqdm(total=o.total_steps, initial=self.step, unit="step", disable=None) as bar,
        ):
            while self.step < o.total_steps and not stopped:
                rollout = next(rollouts)
                self.returns.extend(rollout.returns)
                record = self._update(rollout) | self._limited(rollout)
                self.step += per_update
                self.elapsed = already + time.monotonic() - started
                self._log(record)
                bar.update(per_update)
                bar.set_postfix(mean_return=self.mean_return(), refresh=False)
                if o.evaluation_steps and self.step % o.evaluation_steps < per_update:
                    self._evaluate()
                if time.monotonic() - last_save > 60 * o.save_minutes:
                    self._save()
                    last_save = time.monotonic()
        self._save()
        self.log.close()

    def summary(self) -> dict[str, Any]:
        """What the training came to."""
        return {
            "finished": self.step >= self.options.total_steps,
            "steps": self.step,
            "seconds": round(self.elapsed, 1),
            "mean_return_last_100": self.mean_return() if self.returns else None,
            "best": self.best if np.isfinite(self.best) else None,
            "folder": str(self.folder),
        } | self.net.layer.moved(self.start)

    @contextlib.contextmanager
    def _rollouts(self) -> Iterator[Iterator[Rollout]]:
        """One rollout after the other, played when it is asked for or while the last is used."""
        if not self.options.collect_beside:
            yield (self._collect() for _ in itertools.count())
            return
        with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as beside:
            yield self._played_beside(beside)

    def _played_beside(self, beside: ThreadPoolExecutor) -> Iterator[Rollout]:
        per_update = self.options.n_envs * self.options.rollout_length
        rollout = self._collect()
        require_parallel_launches()
        while True:
            self._show_player()
            following = beside.submit(self.collector.collect, self.step + per_update)
            yield rollout
            rollout = following.result()

    def _collect(self) -> Rollout:
        self._show_player()
        return self.collector.collect(self.step)

    def _show_player(self) -> None:
        """Let a player of its own have the parameters as they are now."""
        if self.collector.net is not self.net:
            self.collector.net.load_state_dict(self.net.state_dict())

    def _update(self, rollout: Rollout) -> dict[str, float]:
        o = self.options
        progress = self.step / o.total_steps
        for group in self.optimiser.param_groups:
            group["lr"] = o.learning_rate * group["rate"] * (1 - progress)
        self.net.layer.put_on(rollout.deviations, rollout.periphery)
        advantage = advantages(rollout, o.discount, o.gae_lambda)
        n_epochs, n_parts = (o.n_epochs, o.n_minibatches) if o.algorithm == "ppo" else (1, 1)
        sums: dict[str, float] = {}
        for _ in range(n_epochs):
            order = torch.randperm(o.n_envs, generator=self.generator).to(self.device)
            for which in order.chunk(n_parts):
                terms = losses(
                    *(self.net, rollout, advantage, which, o, self.position_head, self.charges)
                )
                self.optimiser.zero_grad(set_to_none=True)
                loss = total_loss(terms, o, progress)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.learner.parameters(), o.gradient_clip)
                self._check_finite(loss=loss, gradient=norm)
                self.optimiser.step()
                self._keep_in_range()
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        for name, values in self.learner.named_parameters():
            self._check_finite(**{name: values.sum()})
        return {name: total / (n_epochs * n_parts) for name, total in sums.items()}

    def _check_finite(self, **values: Tensor) -> None:
        """End the training, nothing saved, before a number that is none spoils its state."""
        for name, value in values.items():
            if not torch.isfinite(value):
                raise ValueError(
                    f"training: {name} is not finite after {self.step:,} steps; try a smaller "
                    f"learning rate. What was saved last is whole: {self.folder}"
                )

    @torch.no_grad()
    def _keep_in_range(self) -> None:
        o = self.options
        self.net.layer.weight.clamp_(o.weight_min, o.weight_max)
        if o.contrast_only:
            self.net.front_end.see_contrast_only(o.lit_channels)

    @torch.no_grad()
    def _limited(self, rollout: Rollout) -> dict[str, float]:
        """How often the device's limits bite, in the first game of some rollouts."""
        every = 64
        if self.step // (self.options.n_envs * self.options.rollout_length) % every:
            return {}
        x = self.net.front_end(rollout.frames[:, :1])
        first = slice(1)
        state = rollout.state.of(first)
        noise = rollout.noise_of(first)
        return self.net.layer.limited_fractions(x, state, rollout.keep[:, first], noise)

    def mean_return(self) -> float:
        """Of the last 100 games of the sampled policy; NaN before the first one ended."""
        return float(np.mean(self.returns)) if self.returns else float("nan")

    def _log(self, record: dict[str, float]) -> None:
        numbers = {"seconds": round(self.elapsed, 1), "mean_return": round(self.mean_return(), 3)}
        decay = self.net.layer.decay.detach()
        record |= self.net.layer.moved(self.start) | {
            "decay_first": float(decay[0, 0]),
            "decay_last": float(decay[0, -1]),
        }
        self.log.write(self.step, numbers | {k: float(f"{v:.5g}") for k, v in record.items()})

    def _evaluate(self) -> None:
        o = self.options
        if o.spread(o.seed):
            put_on(self.net, o.spread(o.seed), o)
        returns = evaluate(
            *(self.net, o.evaluation_games, o.seed),
            sticky=o.sticky,
            flicker=o.flicker,
            delta_f_std=o.delta_f_std,
        )
        mean = float(returns.mean())
        self.log.write(self.step, {"evaluation": mean, "evaluation_worst": float(returns.min())})
        self._keep_if_best(mean)

    def _keep_if_best(self, score: float) -> None:
        if score > self.best:
            self.best = score
            self._save_net("best")

    def _save_net(self, name: str) -> None:
        """As users load it, on the usual scale of grey levels."""
        net = copy.deepcopy(self.net)
        net.front_end.rescale(PixelScale())
        save_checkpoint(net, self.folder / f"{name}.safetensors", self._training())

    def _training(self) -> dict[str, Any]:
        return {
            "command": self.history[-1]["command"],
            "history": self.history,
            "options": asdict(self.options),
            "steps": self.step,
            "seconds": self.elapsed,
            "mean_return_last_100": self.mean_return(),
            "initial": self.initial,
            "moved": self.net.layer.moved(self.start),
        } | self._initial_lines()

    def _initial_lines(self) -> dict[str, Any]:
        """Lambda of the lines when the training began; a seed gives those of all synapses."""
        if self.options.bias_lines == "synapse":
            return {}
        return {"initial_lines": self.start["decay"].tolist()}

    def _save(self) -> None:
        self._save_net("last")
        if not self.options.evaluation_steps and len(self.returns) == self.returns.maxlen:
            self._keep_if_best(self.mean_return())
        tensors = self.learner.state_dict()
        tensors |= {f"start.{name}": value for name, value in self.start.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": v for k, v in moments.items()}
        scalars = {
            "step": self.step,
            "elapsed": self.elapsed,
            "best": self.best,
            "returns": list(self.returns),
            "history": self.history,
            "options": asdict(self.options),
            "initial": self.initial,
        }
        metadata = {"trainer": json.dumps(scalars)}
        path = self.folder / "state.safetensors"
        if path.exists():
            with replacing(self.folder / "state_before.safetensors") as partial:
                shutil.copyfile(path, partial)
        atomic_write(path, save(tensors, metadata))

    def _restore(self) -> None:
        path, before = self.folder / "state.safetensors", self.folder / "state_before.safetensors"
        try:
            tensors, scalars = self._read_state(path)
            self._take_tensors(tensors)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            hint = f"; the state before it is {before.name}" if before.exists() else ""
            raise ValueError(f"{path}: {one_line(error)}{hint}") from error
        self.step, self.elapsed, self.best = (scalars[k] for k in ("step", "elapsed", "best"))
        if any(
            scalars["options"].get(name, 0.0) != getattr(self.options, name)
            for name in ("sticky", "flicker", *SPREADS)
        ):
            self.best = -np.inf
        self.returns.extend(scalars["returns"])
        self.initial = scalars.get("initial")
        self.history = [*scalars["history"], *self.history]
        self.history[-1]["from_step"] = self.step
        self.generator.manual_seed(self.options.seed + self.step)

    def _read_state(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and scalars of a state, checked against the options."""
        tensors = load_file(path, device=self.options.torch_device)
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        metadata = header.get("__metadata__", {})
        if "trainer" not in metadata:
            raise ValueError("no state of a training, or another tool saved it without metadata")
        scalars = json.loads(metadata["trainer"])
        for name, value in asdict(self.options).items():
            stored = scalars["options"].get(name, getattr(Options, name))
            if name not in MAY_CHANGE and stored != value:
                raise ValueError(f"{name} is {value}, but {stored} in the folder")
        for name in ("step", "elapsed", "best"):
            if not isinstance(scalars[name], int | float):
                raise ValueError(f"{name} must be a number, got {scalars[name]!r}")
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} must be finite, got NaN or infinity")
        return tensors, scalars

    def _take_tensors(self, tensors: dict[str, Tensor]) -> None:
        learned = {k: v for k, v in tensors.items() if not k.startswith(("adam.", "start."))}
        for name, ours in self.learner.state_dict().items():
            if name in learned and learned[name].dtype != ours.dtype:
                raise ValueError(f"{name} must be {ours.dtype}, got {learned[name].dtype}")
        self.learner.load_state_dict(learned)
        self.start = {name: tensors[f"start.{name}"] for name in self.start}
        adam = self.optimiser.state_dict()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".")
                if value.ndim and value.shape != parameters[int(index)].shape:
                    raise ValueError(f"{name} must be {tuple(parameters[int(index)].shape)}")
                adam["state"].setdefault(int(index), {})[moment] = value
        for index, moments in adam["state"].items():
            if moments.keys() != {"step", "exp_avg", "exp_avg_sq"}:
                raise ValueError(f"adam.{index} must have step, exp_avg, exp_avg_sq")
        self.optimiser.load_state_dict(adam)
