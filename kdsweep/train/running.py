"""How the networks of a trial run: precision, memory format, compiled or not; chosen and said."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from kdsweep.batch import Batch
from kdsweep.errors import TrialError
from kdsweep.losses.precision import full_precision
from kdsweep.spec import TrainSpec
from kdsweep.sweep_file.computing import ON_A_GPU_ONLY
from kdsweep.train import bf16_probe
from kdsweep.train.memory_format import pays
from kdsweep.train.ranks import Ranks

_log = logging.getLogger(__name__)

CLEARLY_FASTER = 1.2
"""So many times as fast must bf16 be on a CPU for ``auto`` to take it."""

Compiled = Literal["none", "default", "reduce-overhead"]


@dataclass(frozen=True)
class Running:
    """What was chosen for a trial, with the words for its record."""

    device_type: str = "cpu"
    bf16: bool = False
    channels_last: bool = False
    compiled: Compiled = "none"

    @property
    def words(self) -> str:
        """As in ``float32, channels_last``; whether compiled only where it is."""
        said = ["bf16" if self.bf16 else "float32"]
        said.append("channels_last" if self.channels_last else "contiguous")
        if self.compiled != "none":
            said.append(f"compiled ({self.compiled})")
        return ", ".join(said)

    def autocast(self) -> AbstractContextManager[None]:
        """Networks called inside compute in the precision that was chosen."""
        if not self.bf16:
            return nullcontext()
        return torch.autocast(self.device_type, dtype=torch.bfloat16)

    def run(self, network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """What ``network`` gives for ``inputs``, in float32: losses are computed from it."""
        with self.autocast():
            logits = network(inputs)
        return full_precision(logits)

    def prepared(self, student: nn.Module) -> Callable[[Tensor], Tensor]:
        """The student to be called in training: itself, or compiled and of the same weights.

        Without gradients, as in calibration, the student itself is called: it is not worth a
        compilation of its own.
        """
        if self.compiled == "none":
            return student
        # Each trial's student is new code to the compiler, which after eight gives up for good.
        torch.compiler.reset()
        compiled = torch.compile(student, mode=self.compiled)

        def call(inputs: Tensor) -> Tensor:
            if not torch.is_grad_enabled():
                return student(inputs)  # type: ignore[no-any-return]
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            return compiled(inputs)  # type: ignore[no-any-return]

        return call


PLAIN = Running()
"""Float32, as networks are built."""


def chosen(train: TrainSpec, student: nn.Module, shown: Batch, ranks: Ranks) -> Running:
    """How to run ``student``, which takes batches like ``shown``; the same on every worker.

    ``auto`` is settled by device and network. ``student`` is left as it was.

    Raises:
        TrialError: a setting needs another device.
    """
    inputs = shown.seen_by(student)
    device = inputs.device
    if train.compile == "reduce-overhead" and device.type != "cuda":
        raise TrialError(f"train.compile: {ON_A_GPU_ONLY}")
    side = min(inputs.shape[2:]) if inputs.ndim == 4 else 0
    plain = foreseen(train, student, side, device)
    return replace(plain, bf16=_bf16(train, student, shown, ranks))


def foreseen(train: TrainSpec, student: nn.Module, side: int, device: torch.device) -> Running:
    """What ``chosen`` will choose for images of ``side`` (0: no images), before anything is timed.

    ``auto`` may still take bf16 where ``bf16_is_timed``.
    """
    channels_last = train.memory_format == "channels_last"
    if train.memory_format == "auto":
        channels_last = pays(student, side, device)
    return Running(
        device.type,
        bf16=train.precision == "bf16"
        or (train.precision == "auto" and device.type == "cuda" and _gpu_has_bf16()),
        channels_last=channels_last,
        compiled="none" if train.compile == "auto" else train.compile,
    )


def bf16_is_timed(train: TrainSpec, device: torch.device) -> bool:
    """Whether ``auto`` is settled by the time that two batches take."""
    return train.precision == "auto" and device.type == "cpu" and bf16_probe.has_amx()


def _gpu_has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _bf16(train: TrainSpec, student: nn.Module, shown: Batch, ranks: Ranks) -> bool:
    device = shown.labels.device
    if train.precision == "float32":
        return False
    if device.type == "cuda":
        native = _gpu_has_bf16()
        if train.precision == "bf16" and not native:
            _log.warning(
                "train.precision: this GPU does not compute in bf16, but imitates it, slowly: use "
                "float32 or auto"
            )
        return native or train.precision == "bf16"
    if train.precision == "bf16":
        if bf16_probe.gain(student, shown) < 1:
            _log.warning(
                "train.precision: bf16 is slower than float32 on this CPU (two batches of each "
                "were timed): use float32 or auto"
            )
        return True
    timed = bf16_is_timed(train, device)
    faster = timed and bf16_probe.gain(student, shown) >= CLEARLY_FASTER
    # Workers that share gradients must compute alike, and each has a clock of its own.
    return ranks.agree(faster, device)
