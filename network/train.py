"""Train the m-STPN agent on Pong with recurrent PPO.

    python -m mstpn.network.train --total-steps 3500000 --out runs/pong

The state (h, F) is carried from one rollout to the next and zeroed when a game ends;
minibatches are whole sequences of some of the environments. The Lambda range is kept by
the twin's parametrisation, the weights' range by clamping after every update. By default
the device's own range of Lambda, and weights well inside its conductance window.

PPO: Schulman et al., arXiv 1707.06347; the form for recurrent Atari agents follows
CleanRL's `ppo_atari_lstm`.
"""

import argparse
import ctypes
import json
import shlex
import signal
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mstpn.network.checkpoint import atomic_write, save_checkpoint
from mstpn.network.evaluate import pong_environments
from mstpn.network.twin import MSTPN, State, TwinConfig
from mstpn.synapses.memristor import Memristor

__all__ = ["Options", "keep_freed_memory", "main", "train"]

_MAY_CHANGE = (
    "out", "resume", "save_minutes", "total_steps", "learning_rate", "activity_penalty"
)  # fmt: skip
"""Options that a resumed training may have otherwise than the stopped one."""


_DEVICE = Memristor.from_file()


@dataclass(frozen=True)
class Options:
    """Every hyper-parameter; each is also a command-line option of the same name."""

    out: str = "runs/pong"
    seed: int = 0
    total_steps: int = 3_500_000
    n_envs: int = 16
    rollout_length: int = 64
    n_minibatches: int = 2
    n_epochs: int = 3
    learning_rate: float = 5e-4
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.1
    entropy_coefficient: float = 0.01
    value_coefficient: float = 0.5
    gradient_clip: float = 0.5
    activity_penalty: float = 0.0
    """Weight of the mean conv feature in the loss, reached linearly over the training."""
    normalisation: str = "none"
    n_hidden: int = 64
    decay_min: float = _DEVICE.decay_min
    decay_max: float = _DEVICE.decay_max
    weight_min: float = -1.0
    weight_max: float = 1.0
    save_minutes: float = 3.0
    resume: bool = False

    def __post_init__(self) -> None:
        for name in ("total_steps", "n_envs", "rollout_length", "n_minibatches", "n_epochs"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ValueError(f"{option} must be at least 1, got {getattr(self, name)}")
        if self.n_envs % self.n_minibatches:
            raise ValueError(
                f"n-minibatches must divide n-envs, got {self.n_minibatches} and {self.n_envs}"
            )


@dataclass
class Rollout:
    """One rollout of T steps of B environments, with what the update needs."""

    state: State
    frames: Tensor
    keep: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    rewards: Tensor
    done: Tensor


class Trainer:
    """Recurrent PPO; `run` is the whole training."""

    def __init__(self, options: Options) -> None:
        self.options = o = options
        keep_freed_memory()
        torch.manual_seed(o.seed)
        self.generator = torch.Generator().manual_seed(o.seed)
        self.env = pong_environments(o.n_envs)
        n_actions = int(self.env.single_action_space.n)  # type: ignore[attr-defined]
        self.net = MSTPN(
            TwinConfig(o.n_hidden, n_actions, o.normalisation, o.decay_min, o.decay_max)
        )
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=o.learning_rate, eps=1e-5)
        self.step = 0
        self.returns: deque[float] = deque(maxlen=100)
        self.best = -np.inf
        self.folder = Path(o.out)
        self.elapsed = 0.0
        command = f"python -m mstpn.network.train {shlex.join(sys.argv[1:])}"
        self.history: list[dict[str, Any]] = [{"command": command, "from_step": 0}]
        if o.resume:
            self._restore()
        elif (self.folder / "state.safetensors").exists():
            raise ValueError(f"{self.folder} holds a training: say --resume, or another --out")
        self.frames = self._reset()
        self.state = self.net.layer.initial_state(o.n_envs)
        self.done = torch.zeros(o.n_envs)
        self.game_return = np.zeros(o.n_envs)

    def run(self) -> None:
        """Train until `total_steps`, saving every `save_minutes` and at the end.

        SIGINT and SIGTERM end it after the update in progress, with everything saved.
        """
        o = self.options
        stopped: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        last_save = started = time.monotonic()
        already = self.elapsed
        with tqdm(total=o.total_steps, initial=self.step, unit="step", disable=None) as bar:
            while self.step < o.total_steps and not stopped:
                rollout = self._collect()
                losses = self._update(rollout)
                self.step += o.n_envs * o.rollout_length
                self.elapsed = already + time.monotonic() - started
                self._log(losses)
                bar.update(o.n_envs * o.rollout_length)
                bar.set_postfix(mean_return=self._mean_return(), refresh=False)
                if time.monotonic() - last_save > 60 * o.save_minutes:
                    self._save()
                    last_save = time.monotonic()
        self._save()
        print(self._summary())

    def _summary(self) -> str:
        state = "finished" if self.step >= self.options.total_steps else "stopped"
        return (
            f"{state} after {self.step:,} steps and {self.elapsed / 60:.1f} min: mean return "
            f"{self._mean_return():+.2f} in the last {len(self.returns)} games; "
            f"weights in {self.folder}"
        )

    @torch.no_grad()
    def _collect(self) -> Rollout:
        o, net = self.options, self.net
        start = State(self.state.h.clone(), self.state.trace.clone())
        columns: list[tuple[Tensor, ...]] = []
        for _ in range(o.rollout_length):
            frames, keep = self.frames, 1 - self.done
            x = net.front_end(frames)
            h, self.state = net.layer(x[None], self.state, keep[None], fused=True)
            logits, value = net.heads(h[0])
            log_prob = logits.log_softmax(1)
            action = torch.multinomial(log_prob.exp(), 1, generator=self.generator)[:, 0]
            observation, reward, ended, truncated, _ = self.env.step(action.numpy())
            self.frames = torch.from_numpy(observation[:, 0].copy())
            done = ended | truncated
            self.game_return += reward
            self.returns.extend(self.game_return[done])
            self.game_return[done] = 0
            self.done = torch.from_numpy(done.astype(np.float32))
            columns.append(
                (
                    frames,
                    keep,
                    action,
                    log_prob.gather(1, action[:, None])[:, 0],
                    value,
                    torch.from_numpy(reward.astype(np.float32)),
                    self.done,
                )
            )
        stacked = [torch.stack(column) for column in zip(*columns, strict=True)]
        return Rollout(start, *stacked)

    def _advantages(self, rollout: Rollout) -> Tensor:
        o, net = self.options, self.net
        with torch.no_grad():
            x = net.front_end(self.frames)
            h, _ = net.layer(x[None], self.state, 1 - self.done[None], fused=True)
            next_value = net.heads(h[0])[1]
        advantages = torch.empty_like(rollout.values)
        running = torch.zeros(o.n_envs)
        for t in reversed(range(o.rollout_length)):
            alive = 1 - rollout.done[t]
            delta = rollout.rewards[t] + o.discount * alive * next_value - rollout.values[t]
            running = delta + o.discount * o.gae_lambda * alive * running
            advantages[t] = running
            next_value = rollout.values[t]
        return advantages

    def _update(self, rollout: Rollout) -> dict[str, float]:
        o = self.options
        progress = self.step / o.total_steps
        for group in self.optimiser.param_groups:
            group["lr"] = o.learning_rate * (1 - progress)
        advantages = self._advantages(rollout)
        targets = advantages + rollout.values
        sums: dict[str, float] = {}
        for _ in range(o.n_epochs):
            order = torch.randperm(o.n_envs, generator=self.generator)
            for which in order.chunk(o.n_minibatches):
                losses = self._losses(rollout, advantages, targets, which)
                loss = (
                    losses["policy"]
                    + o.value_coefficient * losses["value"]
                    - o.entropy_coefficient * losses["entropy"]
                    + o.activity_penalty * progress * losses["mean_feature"]
                )
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), o.gradient_clip)
                self.optimiser.step()
                with torch.no_grad():
                    self.net.layer.weight.clamp_(o.weight_min, o.weight_max)
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        n_updates = o.n_epochs * o.n_minibatches
        return {name: total / n_updates for name, total in sums.items()}

    def _losses(
        self, rollout: Rollout, advantages: Tensor, targets: Tensor, which: Tensor
    ) -> dict[str, Tensor]:
        o, net = self.options, self.net
        frames = rollout.frames[:, which]
        x = net.front_end(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        state = State(*(s[which] for s in rollout.state))
        h, _ = net.layer(x, state, rollout.keep[:, which], fused=True)
        logits, values = net.heads(h)
        log_probs = logits.log_softmax(2)
        chosen = log_probs.gather(2, rollout.actions[:, which, None])[..., 0]
        ratio = (chosen - rollout.log_probs[:, which]).exp()
        advantage = advantages[:, which]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - o.clip, 1 + o.clip)
        return {
            "policy": -torch.min(advantage * ratio, advantage * clipped).mean(),
            "value": 0.5 * functional.mse_loss(values, targets[:, which]),
            "entropy": -(log_probs * log_probs.exp()).sum(2).mean(),
            "mean_feature": x.mean(),
            "active_fraction": (x.detach() > 0).float().mean(),
        }

    def _mean_return(self) -> float:
        return float(np.mean(self.returns)) if self.returns else float("nan")

    def _log(self, losses: dict[str, float]) -> None:
        record = {
            "step": self.step,
            "seconds": round(self.elapsed, 1),
            "mean_return": round(self._mean_return(), 3),
        } | {name: round(value, 5) for name, value in losses.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _save(self) -> None:
        training = {
            "command": self.history[-1]["command"],
            "history": self.history,
            "options": asdict(self.options),
            "steps": self.step,
            "seconds": self.elapsed,
            "mean_return_last_100": self._mean_return(),
        }
        save_checkpoint(self.net, self.folder / "last.safetensors", training)
        if self._mean_return() > self.best and len(self.returns) == 100:
            self.best = self._mean_return()
            save_checkpoint(self.net, self.folder / "best.safetensors", training)
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": v for k, v in moments.items()}
        scalars = {
            "step": self.step,
            "elapsed": self.elapsed,
            "best": self.best,
            "returns": list(self.returns),
            "history": self.history,
            "options": asdict(self.options),
        }
        metadata = {"trainer": json.dumps(scalars)}
        atomic_write(self.folder / "state.safetensors", save(tensors, metadata))

    def _restore(self) -> None:
        path = self.folder / "state.safetensors"
        try:
            tensors = load_file(path)
            with path.open("rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{path}: {error}") from error
        scalars = json.loads(header["__metadata__"]["trainer"])
        for name, value in asdict(self.options).items():
            if name not in _MAY_CHANGE and scalars["options"][name] != value:
                raise ValueError(
                    f"{path}: {name} is {value}, but {scalars['options'][name]} in the folder"
                )
        self.net.load_state_dict(
            {k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")}
        )
        adam = self.optimiser.state_dict()
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, moment = name.split(".")
                adam["state"].setdefault(int(index), {})[moment] = value
        self.optimiser.load_state_dict(adam)
        self.step, self.elapsed, self.best = (scalars[k] for k in ("step", "elapsed", "best"))
        self.returns.extend(scalars["returns"])
        self.history = [*scalars["history"], *self.history]
        self.history[-1]["from_step"] = self.step
        self._forget_after(self.step)
        self.generator.manual_seed(self.options.seed + self.step)

    def _forget_after(self, step: int) -> None:
        """Drop what the log says of steps that were lost with the last stop."""
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        atomic_write(path, "".join(kept).encode())

    def _reset(self) -> Tensor:
        seeds = np.random.default_rng([self.options.seed, self.step]).integers(
            0, 2**31 - 1, self.options.n_envs
        )
        observation, _ = self.env.reset(seed=seeds)
        return torch.from_numpy(observation[:, 0].copy())


def keep_freed_memory() -> None:
    """Let glibc reuse freed blocks: fresh pages cost more than the arithmetic on them."""
    m_trim_threshold, m_mmap_max = -1, -4
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(m_mmap_max, 0)
    libc.mallopt(m_trim_threshold, 2**31 - 1)


def train(options: Options) -> None:
    """Run one training.

    Raises
    ------
    ValueError
        If an option is out of range, or the folder holds another training.
    """
    Trainer(options).run()


def main(arguments: list[str] | None = None) -> None:
    """Command line: one option per field of `Options`."""
    parser = _Parser(description="Train the m-STPN agent on Pong.")
    for field in fields(Options):
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, action="store_true")
        else:
            parser.add_argument(name, type=field.type, default=field.default, metavar="")
    try:
        train(Options(**vars(parser.parse_args(arguments))))
    except ValueError as error:
        parser.error(str(error))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mstpn.network.train: {message}\n")


if __name__ == "__main__":
    main()
