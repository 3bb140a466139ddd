"""How trials compute: what a file asks for, in words, and what needs another device."""

from collections.abc import Iterable

from kdsweep.spec import TrainSpec, TrialSpec

ON_A_GPU_ONLY = (
    "reduce-overhead is not allowed without a GPU: it is CUDA graphs; use auto, none or default"
)
"""What is said of ``compile``, after the path."""


def computing_words(train: TrainSpec) -> str:
    """The three settings in words: what is ``auto`` is settled where a trial runs."""
    return (
        f"precision {train.precision}, memory format {train.memory_format}, compile {train.compile}"
    )


def problems_without_gpu(trials: Iterable[TrialSpec]) -> list[str]:
    """What in ``trials`` cannot run without a GPU, by dotted path, each once."""
    found = [
        f"{path}.compile: {ON_A_GPU_ONLY}"
        for trial in trials
        for path, train in _trainings(trial).items()
        if train.compile == "reduce-overhead"
    ]
    return list(dict.fromkeys(found))


def _trainings(trial: TrialSpec) -> dict[str, TrainSpec]:
    """All that is trained in a trial, by path."""
    teachers = {"teacher": trial.teacher} | {f"teachers.{n}": t for n, t in trial.teachers.items()}
    return {"train": trial.train} | {
        f"{path}.train": teacher.train
        for path, teacher in teachers.items()
        if teacher is not None and teacher.train is not None
    }
