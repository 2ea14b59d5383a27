"""Options of a training; each is also a command-line option of the same name."""

import argparse
import shlex
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from mstpn.network.twin.config import DECAY_RATE, INITIAL_GAMMA
from mstpn.network.wiring import BIAS_LINES, check_bias_lines
from mstpn.synapses.device_file import DEFAULT_DEVICE, read_device_file
from mstpn.synapses.support.command_line import Parser, kind

if TYPE_CHECKING:
    from mstpn.synapses.memristor import Memristor
    from mstpn.synapses.nonidealities import Nonidealities
    from mstpn.synapses.write_limits import WriteLimits

__all__ = ["MAY_CHANGE", "SPREADS", "Options", "parse_options"]

_DEVICE = read_device_file()


def _option(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


SPREADS = (
    "delta_f_std",
    "delta_f_dtod",
    "weight_dtod",
    "half_voltage_dtod",
    "corrupt_devices_prob",
    "w_noise",
    "inp_res",
    "out_res",
)
"""Options by which a training gets other devices, and other noise, in every rollout."""


@dataclass(frozen=True)
class Options:
    """Hyper-parameters, limits of the device, and where to write.

    Raises
    ------
    ValueError
        If a value is out of range; the message names the option.
    """

    out: str = _option("runs/pong", "folder of the training")
    resume: bool = _option(False, "go on with the training in the folder")
    initial: str = _option(
        "", "checkpoint to start from, its Lambda moved into the range; random if absent"
    )
    initial_front_end: str = _option(
        "", "checkpoint whose front-end to start with, the rest being random"
    )
    hold_front_end: bool = _option(False, "leave the front-end as it is: layer and heads learn")
    seed: int = _option(0, "of every random draw")
    torch_device: str = _option("cpu", "that trains, cpu or cuda")
    total_steps: int = _option(2_500_000, "agent steps")

    collect_beside: bool = _option(
        False, "play the next rollout while the last is used, by the agent before that update"
    )

    algorithm: str = _option("ppo", "ppo, or a2c as in STPN's code")
    n_envs: int = _option(32, "games at once")
    sticky: float = _option(0.25, "probability that the emulator repeats the last action")
    flicker: float = _option(0.0, "probability that a frame is blanked")
    rollout_length: int = _option(64, "steps of each game between updates")
    n_minibatches: int = _option(4, "groups of games per epoch, ppo only")
    n_epochs: int = _option(3, "passes over a rollout, ppo only")
    learning_rate: float = _option(1e-3, "of Adam, falling linearly to 0")
    discount: float = _option(0.998, "gamma of the return")
    points_apart: bool = _option(True, "a point won or lost ends the return, as the game does")
    gae_lambda: float = _option(0.95, "lambda of the advantage estimate")
    clip: float = _option(0.1, "of the probability ratio, ppo only")
    entropy_coefficient: float = _option(0.003, "weight of the entropy in the loss")
    value_coefficient: float = _option(0.5, "weight of the value error in the loss")
    gradient_clip: float = _option(0.5, "largest norm of the gradient")
    activity_penalty: float = _option(
        0.0, "weight of the mean conv feature in the loss, reached linearly"
    )
    tracking_penalty: float = _option(
        0.2, "of the paddle's distance from a near ball, falling linearly to 0"
    )
    position_coefficient: float = _option(
        0.1, "weight of the error in the positions of ball and paddle that a head predicts from h"
    )
    teacher: str = _option("", "checkpoint to imitate, which is shown every frame; none if absent")
    teacher_coefficient: float = _option(
        1.0, "weight of the divergence from the teacher's policy, falling linearly to 0"
    )
    pixel_zero: float = _option(87.0, "grey level that the front-end takes for 0")
    pixel_unit: float = _option(63.75, "grey levels that the front-end takes for 1")

    contrast_only: bool = _option(
        False, "features answer to contrast alone: a blank frame is as silent as the empty field"
    )
    lit_channels: int = _option(
        0, "channels of the second convolution that are active on blank frames too, to begin with"
    )

    n_hidden: int = _option(64, "units of the m-STPN layer")
    normalisation: str = _option(
        "none", "of the presynaptic vector, none or l2; or stpn: of W + F, as published there"
    )
    no_feedback: bool = _option(False, "leave h of the last step out of z: F is all the memory")
    no_memory: bool = _option(False, "Gamma = 0, held there: no short-term memory in F")
    bias_lines: str = _option(
        "block", "synapses that share one voltage and Lambda, one of " + ", ".join(BIAS_LINES)
    )
    initial_gamma: float = _option(
        INITIAL_GAMMA, "Gamma starts uniform between minus and plus this"
    )
    initial_decay: float = _option(0.0, "Lambda to start from, 0 for random ones")
    decay_learning_rate: float = _option(
        DECAY_RATE, "learning rate of Lambda over that of the rest"
    )
    decay_min: float = _option(_DEVICE["decay_min"]["value"], "smallest Lambda")
    decay_max: float = _option(_DEVICE["decay_max"]["value"], "largest Lambda")
    weight_min: float = _option(-1.0, "smallest W")
    weight_max: float = _option(1.0, "largest W")

    device: str = _option("", "device file of what follows, the package's own if absent")
    ideal_updates: bool = _option(
        False, "every update as it is wanted, though no pulse of the device could make it"
    )
    energy_price: float = _option(0.0, "points that a millijoule costs")

    delta_f_std: float = _option(0.0, "spread of updates from pulse to pulse, relative")
    delta_f_dtod: float = _option(0.0, "of updates from device to device, relative")
    weight_dtod: float = _option(0.0, "of W from device to device")
    half_voltage_dtod: float = _option(0.0, "of V_half from device to device, in volt")
    corrupt_devices_prob: float = _option(0.0, "share of devices that no pulse moves")
    w_noise: float = _option(0.0, "noise of conductances from read to read, relative")
    inp_res: float = _option(0.0, "step of the inputs over their range, or number of steps")
    inp_bound: float = _option(1.0, "largest input, with inp-res")
    out_res: float = _option(0.0, "step of the outputs over their range, or number of steps")
    out_bound: float = _option(12.0, "largest output, with out-res, in units of W z")

    evaluation_steps: int = _option(0, "agent steps between evaluations, 0 for none")
    evaluation_games: int = _option(16, "greedy games per evaluation")
    save_minutes: float = _option(3.0, "minutes between checkpoints")
    json: str = _option("", "file for the summary")

    def __post_init__(self) -> None:
        for name in (
            *("total_steps", "n_envs", "rollout_length", "n_minibatches", "n_epochs"),
            *("n_hidden", "evaluation_games"),
        ):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("seed", "evaluation_steps", "lit_channels"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in (
            *("learning_rate", "decay_learning_rate", "gradient_clip", "pixel_unit"),
            *("save_minutes", "initial_gamma", "inp_bound", "out_bound"),
        ):
            self._require(name, getattr(self, name) > 0, "positive")
        start, low, high = self.initial_decay, self.decay_min, self.decay_max
        between = start == 0 or low < start < high
        self._require("initial_decay", between, f"0 or in ({low:g}, {high:g})")
        check_bias_lines(self.bias_lines)
        for name in ("discount", "gae_lambda", "clip", "sticky", "flicker", "corrupt_devices_prob"):
            self._require(name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        for name in (
            *("tracking_penalty", "position_coefficient", "teacher_coefficient"),
            *("energy_price", *SPREADS),
        ):
            self._require(name, 0 <= getattr(self, name) < float("inf"), "at least 0 and finite")
        if self.initial and self.initial_front_end:
            raise ValueError(
                "initial-front-end must be absent where initial is given, got "
                + self.initial_front_end
            )
        self._require("algorithm", self.algorithm in ("ppo", "a2c"), "ppo or a2c")
        if self.collect_beside and self.torch_device != "cpu":
            raise ValueError(f"collect-beside needs torch-device cpu, got {self.torch_device}")
        self._require("torch_device", self.torch_device in ("cpu", "cuda"), "cpu or cuda")
        self._require("weight_min", self.weight_min < self.weight_max, "below weight-max")
        if self.n_envs % self.n_minibatches:
            raise ValueError(
                f"n-minibatches must divide n-envs, got {self.n_minibatches} and {self.n_envs}"
            )

    @property
    def write_limits(self) -> "WriteLimits | None":
        """Those of the device, unless updates are ideal."""
        return None if self.ideal_updates else self.memristor.write_limits()

    @property
    def memristor(self) -> "Memristor":
        """The device of the limits and the spread."""
        from mstpn.synapses.memristor import Memristor

        return Memristor.from_file(self.device or DEFAULT_DEVICE)

    def spread(self, seed: int) -> "Nonidealities":
        """How devices differ, drawn from `seed`."""
        from brian2.units import volt

        from mstpn.synapses.nonidealities import Nonidealities

        return Nonidealities(
            delta_f_std=self.delta_f_std,
            delta_f_dtod=self.delta_f_dtod,
            weight_dtod=self.weight_dtod,
            half_voltage_dtod=self.half_voltage_dtod * volt,
            corrupt_devices_prob=self.corrupt_devices_prob,
            w_noise=self.w_noise,
            inp_res=self.inp_res,
            inp_bound=self.inp_bound,
            out_res=self.out_res,
            out_bound=self.out_bound,
            seed=seed,
        )

    @property
    def command(self) -> str:
        """The command line that gives these options."""
        words = ["mstpn", "train"]
        for f in fields(self):
            value, name = getattr(self, f.name), f.name.replace("_", "-")
            if isinstance(value, bool) and value != f.default:
                words.append(f"--{name}" if value else f"--no-{name}")
            elif value != f.default:
                words += [f"--{name}", str(value)]
        return shlex.join(words)

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            option = name.replace("_", "-")
            raise ValueError(f"{option} must be {allowed}, got {getattr(self, name)}")


MAY_CHANGE = frozenset(
    {"out", "resume", "initial", "initial_front_end", "torch_device", "collect_beside"}
    | {"total_steps"}
    | {"sticky", "flicker", *SPREADS}
    | {"learning_rate", "entropy_coefficient", "activity_penalty"}
    | {"tracking_penalty", "position_coefficient", "teacher_coefficient"}
    | {"energy_price", "decay_learning_rate"}
    | {"evaluation_steps", "evaluation_games", "save_minutes", "json"}
)
"""Options that a resumed training may have otherwise than the stopped one."""


def parse_options(arguments: list[str] | None) -> tuple[Options, argparse.ArgumentParser]:
    """Options from a command line, and the parser whose `error` ends with one line."""
    parser = Parser(prog="mstpn train", description="Train the m-STPN agent on Pong.")
    for f in fields(Options):
        name, text = "--" + f.name.replace("_", "-"), f.metadata["help"]
        if f.type is bool:
            action = argparse.BooleanOptionalAction if f.default else "store_true"
            parser.add_argument(name, action=action, default=f.default, help=text)
        else:
            parser.add_argument(
                name,
                type=kind(f.default),
                default=f.default,
                metavar=type(f.default).__name__.upper(),
                help=f"{text} ({f.default})" if f.default != "" else text,
            )
    try:
        return Options(**vars(parser.parse_args(arguments))), parser
    except ValueError as error:
        parser.error(str(error))
