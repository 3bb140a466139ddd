"""What ``kdsweep check`` says of the teachers' outputs on disk."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdsweep.sweep_file.stored import StoredPlan

_LABEL, _WIDTH, _SHOWN = 14, 80, 6


def as_data(plans: "Sequence[StoredPlan]") -> list[dict[str, object]]:
    """The arithmetic of each teacher as plain data."""
    return [
        {
            "teacher": plan.teacher,
            "stored": plan.stored,
            "max_cache_bytes": plan.max_cache_bytes,
            "num_views": plan.num_views,
            "num_samples": plan.num_samples,
            "values": dict(plan.outputs),
            "num_bytes": plan.num_bytes,
            "refused": plan.refused,
            "live": dict(plan.live),
        }
        for plan in plans
    ]


def as_text(plans: "Sequence[StoredPlan]") -> list[str]:
    """The arithmetic of each teacher, in lines of at most 80 columns, long names apart."""
    lines: list[str] = []
    for plan in plans:
        lines += _wrapped(_head(plan, several=len(plans) > 1), "" if lines else "  outputs")
        lines += _rows(plan)
        for sentence in _verdicts(plan):
            lines += _wrapped(sentence)
    return lines


def refusals(plans: "Sequence[StoredPlan]") -> list[str]:
    """The lines of ``as_text`` for what is asked of the teachers and has no room."""
    from kdsweep.spec.trial import called

    return [f"{called(plan.teacher)}: {_refusal(plan)}" for plan in plans if plan.refused]


def _head(plan: "StoredPlan", *, several: bool) -> str:
    from kdsweep.spec.trial import called

    whose = f"of {called(plan.teacher)}, " if several else ""
    if plan.num_views is None or plan.num_samples is None:
        return f"{whose}views x samples x values x 2 bytes; the samples are not counted yet"
    views = f"{plan.num_views:,} view{'s' * (plan.num_views != 1)}"
    return f"{whose}{views} x {plan.num_samples:,} samples x values x 2 bytes:"


def _rows(plan: "StoredPlan") -> list[str]:
    """One for each output: values and bytes, or bytes for one sample in one view."""
    from kdsweep.sweep_file.asked import BYTES_PER_VALUE, bytes_in_words

    shown, left = list(plan.outputs.items())[:_SHOWN], list(plan.outputs.items())[_SHOWN:]
    if left:
        shown.append((f"({len(left)} more)", sum(values for _, values in left)))
    rows = []
    for name, values in shown:
        room = plan.room(values)
        size = (
            f"{bytes_in_words(BYTES_PER_VALUE * values)} each"
            if room is None
            else bytes_in_words(room.num_bytes)
        )
        rows.append(f"{'':<{_LABEL}}{values:>9,} values {size:>15}  {name}")
    return rows


def _verdicts(plan: "StoredPlan") -> Iterator[str]:
    from kdsweep.sweep_file.asked import bytes_in_words

    most = bytes_in_words(plan.max_cache_bytes)
    if plan.refused:
        yield _refusal(plan)
    elif plan.stored == "none":
        yield "nothing is stored: the teacher is asked for each batch"
    elif plan.num_bytes is None:
        also = "" if plan.stored == "features" else ", features only where samples are counted"
        yield f"stored up to {most} for each trial{also}"
    else:
        yield f"stored: {bytes_in_words(plan.num_bytes)} of at most {most}"
    if plan.stored != "none":
        by_reason: dict[str, list[str]] = {}
        for strategy, reason in plan.live.items():
            by_reason.setdefault(reason, []).append(strategy)
        for reason, names in by_reason.items():
            yield f"live: {', '.join(names)} ({reason})"


def _wrapped(sentence: str, label: str = "") -> list[str]:
    return textwrap.wrap(
        f"{label:<{_LABEL}}{sentence}", _WIDTH, subsequent_indent=" " * _LABEL,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip


def _refusal(plan: "StoredPlan") -> str:
    return (
        f"{plan.refused} stored, and the teacher is asked for each batch in place of the rest; "
        "raise max_cache_bytes of the teacher to store it"
    )
