"""One trial: data, teacher, student, strategy and how to train."""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from kdsweep.spec.settings import Component, LocalPath, Settings


class Sgd(Settings):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(5e-4, ge=0)

    @model_validator(mode="after")
    def _something_to_look_ahead_with(self) -> "Sgd":
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum greater than 0")
        return self


class Adam(Settings):
    """Adam (arXiv:1412.6980)."""

    name: Literal["adam"] = "adam"
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)


class AdamW(Settings):
    """Adam with decoupled weight decay (arXiv:1711.05101)."""

    name: Literal["adamw"] = "adamw"
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    weight_decay: float = Field(1e-2, ge=0)


class Constant(Settings):
    """The learning rate stays as it is, after warm-up."""

    name: Literal["constant"] = "constant"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of training spent warming up")


class Cosine(Settings):
    """Half a cosine from the learning rate to zero, after warm-up."""

    name: Literal["cosine"] = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1, description="share of training spent warming up")


class Steps(Settings):
    """The learning rate is multiplied by ``factor`` at each milestone, a share of training."""

    name: Literal["steps"] = "steps"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    factor: float = Field(0.1, gt=0, lt=1)
    warmup: float = Field(0.0, ge=0, lt=1, description="share of training spent warming up")


class PerRung(Settings):
    """Half a cosine to zero up to each of ``ends``, and a last one to the end of training.

    Each begins at the learning rate again, from the weights that the one before has left (SGDR,
    arXiv:1608.03983), so that at each end a student has had a whole short training and can be
    compared with others. Warm-up is the first one's.
    """

    name: Literal["per_rung"] = "per_rung"
    ends: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.05, 0.15, 0.45), min_length=1, description="shares of training, rounded to whole epochs"
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="share of training spent warming up")

    @model_validator(mode="after")
    def _one_after_the_other(self) -> "PerRung":
        if any(a >= b for a, b in pairwise(self.ends)):
            raise ValueError(f"ends are {list(self.ends)}: each must be greater than the last")
        if self.warmup >= self.ends[0]:
            raise ValueError(
                f"warmup is {self.warmup}: must end before the first of ends, {self.ends[0]}"
            )
        return self

    def end_epochs(self, epochs: int) -> tuple[int, ...]:
        """The epochs (from 1) after which one begins anew: those of ``ends`` that are distinct."""
        found = dict.fromkeys(max(1, round(end * epochs)) for end in self.ends)
        return tuple(epoch for epoch in found if epoch < epochs)


Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]
Schedule = Annotated[Constant | Cosine | Steps | PerRung, Field(discriminator="name")]


class TrainSpec(Settings):
    """How long and how to train; the same settings serve teacher and student."""

    epochs: int = Field(20, ge=1, le=100_000)
    batch_size: int = Field(128, ge=1, le=1_000_000)
    lr: float = Field(1e-3, gt=0, le=100)
    optimizer: Optimizer = AdamW()
    schedule: Schedule = Cosine()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    label_share: float = Field(
        1.0, gt=0, le=1, description="of the training labels, how many are used"
    )
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="of the networks' forward and backward; losses are float32"
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = Field(
        "auto", description="how maps of images lie in memory"
    )
    compile: Literal["auto", "none", "default", "reduce-overhead"] = Field(
        "auto", description="of the student, by torch.compile; reduce-overhead: CUDA graphs"
    )

    @model_validator(mode="before")
    @classmethod
    def _names_to_settings(cls, value: Any) -> Any:
        """``optimizer: sgd`` is short for ``optimizer: {name: sgd}``."""
        if not isinstance(value, dict):
            return value
        short = {
            k: {"name": v}
            for k, v in value.items()
            if k in ("optimizer", "schedule") and isinstance(v, str)
        }
        return {**value, **short}


StoredWord = Literal["auto", "features", "logits", "none"]


class TeacherSpec(Settings):
    """The teacher's architecture, its weights or how to train it, and what is stored of it."""

    example: ClassVar[str] = "{model: WORD} to train it first, or {model: WORD, weights: PATH}"

    model: Component
    weights: LocalPath | None = Field(
        None, description="state dict: .safetensors, or a .pt of tensors"
    )
    train: TrainSpec | None = None
    seed: int = Field(0, ge=0, lt=2**31)
    stored: StoredWord = Field(
        "auto", description="which outputs are computed once and kept on disk"
    )
    max_cache_bytes: int = Field(
        4 * 1024**3, ge=0, description="what they may take; else the teacher is asked each time"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_bare_network(cls, value: Any) -> Any:
        if isinstance(value, dict) and "name" in value and "model" not in value:
            raise ValueError(
                f"has the settings of a network itself: put them under model, as "
                f"{{model: {{name: {value['name']}, ...}}}}, with weights or train beside it"
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> "TeacherSpec":
        if self.weights is not None and self.train is not None:
            raise ValueError("give either weights (load the teacher) or train (train it), not both")
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """What its outputs follow from, in plain values: not what is stored of them."""
        return self.model_dump(exclude={"stored", "max_cache_bytes"})

    @property
    def training(self) -> TrainSpec:
        """How the teacher is trained; by its own settings, never by those that a sweep varies."""
        return self.train or TrainSpec()


MAIN_TEACHER = "teacher"
"""What the trial's own teacher is called among several."""


def called(teacher: str) -> str:
    """A teacher of a trial for people: ``teacher``, or ``teacher large`` for a further one."""
    return teacher if teacher == MAIN_TEACHER else f"{MAIN_TEACHER} {teacher}"


TeacherName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")]


class TrialSpec(Settings):
    """A trial that runs as it stands."""

    data: Component
    teacher: TeacherSpec | None = None
    teachers: dict[TeacherName, TeacherSpec] = Field(
        default_factory=dict, description="further teachers by name, for strategies of several"
    )
    student: Component
    strategy: Component = Component(name="kd")
    train: TrainSpec = TrainSpec()
    seed: int = Field(0, ge=0, lt=2**31)
    with_validation: bool = Field(
        False, description="the student learns from the validation data as well; only to confirm"
    )

    @model_validator(mode="after")
    def _a_main_teacher_first(self) -> "TrialSpec":
        if MAIN_TEACHER in self.teachers:
            raise ValueError(
                f"teachers.{MAIN_TEACHER}: the trial's own teacher has that name: choose another"
            )
        if self.teachers and self.teacher is None:
            raise ValueError("teachers are further ones beside the trial's own: give it a teacher")
        return self

    @property
    def all_teachers(self) -> dict[str, TeacherSpec]:
        """Every teacher by name, the trial's own first."""
        own = {} if self.teacher is None else {MAIN_TEACHER: self.teacher}
        return own | self.teachers
