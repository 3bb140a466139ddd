"""What ``kdsweep check`` says of the file of one trial."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from kdsweep.cli import check_computing, check_stored
from kdsweep.cli.check_data import data_of, data_words
from kdsweep.cli.check_students import setting_words
from kdsweep.cli.own_code import own_code_lines
from kdsweep.cli.wrapped import wrapped

if TYPE_CHECKING:
    from kdsweep.sweep_file import CheckedTrial


def as_data(checked: "CheckedTrial") -> dict[str, object]:
    """What would be trained, as plain data."""
    from kdsweep.catalog import own_code
    from kdsweep.sweep_file import normalisation_words, resolved, teacher_words

    student = {**asdict(checked.student), "component": resolved(checked.trial)["student"]}
    return {
        "file": str(checked.path),
        "num_classes": checked.info.num_classes,
        "data": data_of(checked.info, checked.survey),
        "normalisation": normalisation_words([checked.trial]),
        "teacher": teacher_words(checked.trial),
        "student": student,
        "outputs": check_stored.as_data(checked.outputs),
        "computing": _computing(checked),
        "own_code": own_code(resolved(checked.trial)),
        "trial": resolved(checked.trial),
    }


def as_text(checked: "CheckedTrial") -> list[str]:
    """What would be trained, in lines of at most 80 columns, long names apart."""
    from kdsweep.sweep_file import normalisation_words, resolved, teacher_words
    from kdsweep.train.needs import teachers_of

    trial, student, train = checked.trial, checked.student, checked.trial.train
    read = teachers_of(trial)
    unread = (
        "" if read or not trial.all_teachers else f" (strategy {trial.strategy.name}: not read)"
    )
    num = train.epochs
    rows = {
        "data": data_words(trial.data, checked.info, checked.survey),
        "teacher": teacher_words(trial) + unread,
        "student": f"{student.params:,} params, {student.macs:,} multiply-adds",
        "": " ".join([trial.student.name, *setting_words(trial.student.settings)]),
        "strategy": " ".join([trial.strategy.name, *setting_words(trial.strategy.settings)]),
        "training": f"{num} epoch{'' if num == 1 else 's'}, batches of {train.batch_size}, "
        f"lr {train.lr:.3g}, {train.optimizer.name}, {train.schedule.name}, "
        f"seed {trial.seed}",
        "computing": _computing(checked),
    }
    lines = [f"{checked.path}: good"]
    for label, text in rows.items():
        lines += wrapped(text, label)
        if label == "teacher":
            seen = normalisation_words([trial]) if read else []
            lines += [line for each in seen for line in wrapped(each)]
    own = own_code_lines(resolved(trial))
    return [*lines, *check_stored.as_text(checked.outputs), *own]


def _computing(checked: "CheckedTrial") -> str:
    from kdsweep.sweep_file.plan import this_machine

    trial, gpu = checked.trial, this_machine().gpus > 0
    return check_computing.in_words(trial.train, {"student": trial.student}, checked.info, gpu=gpu)
