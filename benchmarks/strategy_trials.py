"""Which trials tell what the strategies are worth: setups, rows of a table, seeds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdsweep import catalog
from kdsweep.spec import Component, TrialSpec
from kdsweep.train.needs import needs_of

NONE, KD = "none", "kd"
LABEL_SHARES = {"all": 1.0, "scarce": 0.05}

_ELSEWHERE = ("cross_modal", "data_free", "transformer")
"""Strategies that need other networks, data or budgets than the rest have in common."""

_DIGITS = {"name": "digits"}
_DIGITS_TEACHER = {
    "model": {"name": "cnn", "width": 32, "stages": 2, "dropout": 0.3, "batch_norm": True},
    "train": {"epochs": 20, "batch_size": 128, "lr": 3e-3},
}
_DIGITS_STUDENT = {"name": "cnn", "width": 4, "stages": 2, "hidden": 16}
_DIGITS_BATCHES = 17
"""Of 64 in the 1,079 training images."""

_SCRIPTS = (
    "arabic armenian arrows box_drawing braille canadian_syllabics cyrillic georgian greek latin"
)
_GLYPHS = {
    "name": "glyphs",
    "classes": _SCRIPTS.split(),
    "limit": 3000,
    "validation": 0.1,
    "texts": "names_without_class",
}
_GLYPHS_TEACHER = {
    "model": {"name": "vgg", "depth": 8, "width": 12},
    "train": {"epochs": 10, "batch_size": 64, "lr": 5e-3},
}
_GLYPHS_SECOND = {"name": "cnn", "width": 16, "hidden": 128, "batch_norm": True, "dropout": 0.3}
_GLYPHS_STUDENT = {"name": "cnn", "width": 4, "hidden": 32, "batch_norm": True}
_GLYPHS_TRAIN = {"epochs": 4, "batch_size": 64, "lr": 1e-2}
_READER = {"name": "text_cnn", "width": 16, "filters": 16, "kernels": [3, 5]}
_LARGE_READER = {"name": "text_cnn", "width": 32, "filters": 32, "kernels": [3, 5, 7]}
_WARM = {"schedule": {"name": "cosine", "warmup": 0.1}}


@dataclass(frozen=True)
class Setup:
    """Data, two networks and a budget, and the strategies that are compared there.

    ``second`` is the teacher that ``multi_teacher`` has beside the first.
    """

    name: str
    title: str
    data: Mapping[str, Any]
    teacher: Mapping[str, Any]
    student: Mapping[str, Any]
    train: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    second: Mapping[str, Any] = field(default_factory=dict)

    def trial(self, row: Mapping[str, Any], labels: str, seed: int) -> TrialSpec:
        """One trial; what its strategy does not read is left out of it.

        So trials of different setups that come to the same are the same, and run once.
        """
        component = Component(**row)
        reads_labels = needs_of(component).data
        train = {**self.train, "label_share": LABEL_SHARES[labels] if reads_labels else 1.0}
        given: dict[str, Any] = {"data": self.data, "student": self.student, "train": train}
        if row["name"] != NONE:
            given["teacher"] = self.teacher
        if row["name"] == "multi_teacher":
            given["teachers"] = {"second": self.second}
        return TrialSpec.model_validate({**given, "strategy": row, "seed": seed})


@dataclass(frozen=True)
class Job:
    """One trial and the place of its result: a setup, its labels, a row and a seed."""

    setup: Setup
    labels: str
    row: str
    seed: int
    trial: TrialSpec

    @property
    def key(self) -> str:
        """The same for the same trial."""
        return self.trial.model_dump_json()


def called(row: Mapping[str, Any]) -> str:
    """A row's name: its strategies, joined by plus signs."""
    return " + ".join([row["name"], *row.get("extra", {})])


def remark(row: Mapping[str, Any]) -> str:
    """What a reader of the table must know of a strategy, or nothing."""
    needs = needs_of(Component(**row))
    if not needs.data:
        return "sees no training data"
    if row["name"] != NONE and not needs.teacher:
        return "no trained teacher"
    return ""


def _alone(names: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"name": name} for name in names)


def _with_kd(names: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"name": KD, "extra": {name: {}}} for name in names)


def _common() -> list[str]:
    """Every strategy that an image student and an image teacher take, ``none`` first."""
    names = [name for name in catalog.names("strategy") if name not in _ELSEWHERE]
    return [NONE, KD, *(name for name in names if name not in (NONE, KD))]


def _of_features(names: Iterable[str]) -> list[str]:
    """Those that compare features or relations, and add no softened logits of their own."""
    needs = {name: needs_of(Component(name=name)) for name in names}
    return [name for name, need in needs.items() if need.features and need.teacher]


def setups() -> tuple[Setup, ...]:
    """All of them, the quickest first."""
    digits = {"data": _DIGITS, "teacher": _DIGITS_TEACHER, "student": _DIGITS_STUDENT}
    glyphs = {"data": _GLYPHS, "train": _GLYPHS_TRAIN}
    return (
        Setup(
            "digits",
            "digits, images",
            **digits,
            train={"epochs": 20, "batch_size": 64, "lr": 1e-2},
            rows=(
                *_alone([*_common(), "cross_modal"]),
                *_with_kd(_of_features(_common())),
            ),
            second={**_DIGITS_TEACHER, "model": {"name": "vgg", "depth": 8, "width": 8}},
        ),
        Setup(
            "digits-long",
            "digits, three times as long",
            **digits,
            train={"epochs": 60, "batch_size": 64, "lr": 1e-2},
            rows=(
                *_alone([NONE, KD, "function_matching"]),
                {"name": "data_free", "batches_per_epoch": _DIGITS_BATCHES},
            ),
        ),
        Setup(
            "digits-vit",
            "digits, vision transformers",
            data=_DIGITS,
            teacher={
                "model": _vit(width=32, depth=3, heads=4),
                "train": {"epochs": 60, "batch_size": 32, "lr": 3e-3, **_WARM},
            },
            student=_vit(width=16, depth=2, heads=2),
            train={"epochs": 30, "batch_size": 64, "lr": 1e-2, **_WARM},
            rows=(*_alone([NONE, KD, "transformer"]), *_with_kd(["transformer"])),
        ),
        Setup(
            "glyphs",
            "glyphs, images",
            **glyphs,
            teacher=_GLYPHS_TEACHER,
            student=_GLYPHS_STUDENT,
            rows=_alone([*_common(), "cross_modal"]),
            second={**_GLYPHS_TEACHER, "model": _GLYPHS_SECOND},
        ),
        Setup(
            "glyphs-to-names",
            "glyphs, an image teacher and a student that reads names",
            **glyphs,
            teacher=_GLYPHS_TEACHER,
            student=_READER,
            rows=_alone([NONE, KD, "cross_modal"]),
        ),
        Setup(
            "names-to-glyphs",
            "glyphs, a teacher that reads names and an image student",
            **glyphs,
            teacher={"model": _LARGE_READER, "train": _GLYPHS_TEACHER["train"]},
            student=_GLYPHS_STUDENT,
            rows=_alone([NONE, KD, "cross_modal"]),
        ),
    )


def _vit(**size: int) -> dict[str, Any]:
    return {"name": "vit", "patch": 2, "pooling": "mean", **size}


def jobs(chosen: Sequence[Setup], *, seeds: int, only: Sequence[str] = ()) -> Iterator[Job]:
    """Every trial, a seed of a setup after the other, the control before what it is held against.

    ``only`` are strategies: their rows are kept, alone and with ``kd``, and the control.
    """
    for setup in chosen:
        rows = {called(row): row for row in setup.rows}
        kept = {
            name: row for name, row in rows.items() if not only or name.split(" + ")[-1] in only
        }
        if not kept:
            continue
        for labels in LABEL_SHARES:
            for seed in range(seeds):
                for name, row in {NONE: rows[NONE], **kept}.items():
                    yield Job(setup, labels, name, seed, setup.trial(row, labels, seed))
