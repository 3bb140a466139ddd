"""The controls, and how the sweep was made."""

from kdsweep.errors import redacted
from kdsweep.report.answers.section import Section, Table, cells, percent
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.table import metric_text
from kdsweep.results.noise import accuracy_interval, validation_examples, wilson
from kdsweep.results.replicates import deviation


def controls(view: SweepView) -> Section:
    """The two trials that every sweep is compared with, and the teacher, with their spread."""
    examples = validation_examples(view.meta, view.results)
    rows, numbers = [], []
    for result in (point for point in view.points if point.role == "control"):
        accuracy = result.metrics.get("accuracy")
        spread = deviation(result, "accuracy")
        sure = accuracy_interval(result, examples)
        text = metric_text(result, "params")
        rows.append(
            cells(strategy_label(result), student_label(result), text, result.status,
                  metric_text(result, "accuracy"), _ends(sure), result.trial_id)
        )  # fmt: skip
        numbers.append({
            "strategy": strategy_label(result), "trial_id": result.trial_id, "accuracy": accuracy,
            "deviation": spread, "interval": sure, "status": result.status,
        })  # fmt: skip
    if view.teacher is not None:
        accuracy = view.teacher.get("accuracy")
        sure = None if accuracy is None or examples is None else wilson(accuracy, examples)
        params = view.teacher.get("params")
        size = None if params is None else f"{params:,.0f}"
        rows.append(cells("(teacher)", "", size, "", percent(accuracy), _ends(sure), ""))
        numbers.append({"strategy": "(teacher)", "accuracy": accuracy, "interval": sure})
    header = ("strategy", "student", "params", "status", "accuracy", "95% interval", "trial")
    of = "unknown" if examples is None else f"of {examples:,} validation examples (Wilson's)"
    note = (
        f"Intervals of the teacher are {of}, and those of the controls of the mean over their "
        f"{view.meta.replicates} seeds (Student's t)."
        if view.meta.replicates > 1
        else f"Intervals {of}; the luck of a single seed is not in them."
    )
    said = (
        "Trained at the sweep's own settings: the student without a teacher, and with plain kd at "
        "its defaults."
        if rows
        else "This sweep has no controls."
    )
    return Section(
        key="controls", title="The controls", sentences=(said,),
        tables=(Table(header, tuple(rows), note),) if rows else (), numbers={"controls": numbers},
    )  # fmt: skip


def _ends(interval: tuple[float, float] | None) -> str | None:
    return None if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}%"


def made(view: SweepView, place: str) -> Section:
    """With what the sweep was made."""
    meta = view.meta
    teacher = meta.teacher
    objectives = ", ".join(f"{name} {way}" for name, way in meta.objectives.items())
    limits = (f"{name} {side} {value:g}" for name, sides in meta.constraints.items()
              for side, value in sides.items() if value is not None)  # fmt: skip
    rows = [
        ("run", place), ("begun", meta.created), ("status", _status(view)),
        ("objectives", objectives), ("constraints", ", ".join(limits) or "none"),
        ("sampler", f"{meta.sampler or 'unknown'}, seed {meta.seed}"),
        ("trials of each point", str(meta.replicates)), ("host", meta.host),
        ("kdsweep", meta.version), ("python", meta.python),
        ("packages", ", ".join(f"{name} {version}" for name, version in meta.packages.items())),
        ("git commit", meta.git_commit or "-"), ("sweep file, SHA-256", meta.sweep_sha256 or "-"),
        ("data, fingerprint", meta.data_fingerprint or "-"),
        ("validation examples", _examples(view)),
        ("teacher", "none" if teacher is None else f"{teacher.name or 'network'}, {teacher.hash}"),
        ("MLflow", redacted(meta.tracking_uri or "-")),
    ]  # fmt: skip
    return Section(
        key="made", title="How it was made", sentences=(),
        tables=(Table(("", ""), tuple(cells(*row) for row in rows)),), numbers=dict(rows),
    )  # fmt: skip


def _status(view: SweepView) -> str:
    by = view.meta.ended_by
    return f"{view.meta.status} ({by})" if by else view.meta.status


def _examples(view: SweepView) -> str:
    found = validation_examples(view.meta, view.results)
    if found is None:
        return "not known"
    told = "" if found == view.meta.examples.get("validation") else " (as the accuracies tell)"
    return f"{found:,}{told}"
