"""What ``kdsweep check`` says of the teachers' outputs on disk."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kdsweep.cli.wrapped import LABEL, wrapped

if TYPE_CHECKING:
    from kdsweep.sweep_file.stored import StoredPlan

_SHOWN = 6
_BYTES = "values x 2 bytes"


def as_data(plans: "Sequence[StoredPlan]") -> list[dict[str, object]]:
    """The arithmetic of each teacher as plain data."""
    return [
        {
            "teacher": plan.teacher,
            "stored": plan.stored,
            "max_cache_bytes": plan.max_cache_bytes,
            "num_bytes": plan.num_bytes,
            "unseen": plan.unseen,
            "parts": [
                {
                    "num_views": part.num_views,
                    "num_samples": part.num_samples,
                    "values": dict(part.outputs),
                    "num_bytes": part.num_bytes(part.values(plan.stored)),
                }
                for part in plan.parts
            ],
            "refused": plan.refused,
            "live": dict(plan.live),
        }
        for plan in plans
    ]


def as_text(plans: "Sequence[StoredPlan]") -> list[str]:
    """The arithmetic of each teacher, in lines of at most 80 columns, long names apart."""
    lines: list[str] = []
    for plan in plans:
        head = _head(plan, several=len(plans) > 1)
        if not lines:
            head = head.replace(_BYTES, f"{_BYTES}; a view is the data in one augmentation", 1)
        lines += wrapped(head, "" if lines else "outputs")
        lines += _rows(plan)
        for sentence in _verdicts(plan):
            lines += wrapped(sentence)
    return lines


def refusals(plans: "Sequence[StoredPlan]") -> list[str]:
    """The lines of ``as_text`` for what is asked of the teachers and has no room."""
    from kdsweep.spec.trial import called

    return [f"{called(plan.teacher)}: {_refusal(plan)}" for plan in plans if plan.refused]


def _head(plan: "StoredPlan", *, several: bool) -> str:
    from kdsweep.spec.trial import called

    whose = f"of {called(plan.teacher)}, " if several else ""
    part, num = plan.parts[0], len(plan.parts)
    if not part.outputs:
        return f"{whose}none is stored: no strategy here can live on them"
    if part.num_views is None or part.num_samples is None:
        return f"{whose}views x samples x {_BYTES}; the samples are not counted yet"
    shown = _views(plan) if _is_one_table(plan) else [part.num_views]
    if not _is_one_table(plan):
        whose += f"the largest of {num} data sets or teachers: "
    views = " + ".join(f"{each:,}" for each in shown)
    views += f" view{'s' * (shown != [1])}"
    return f"{whose}{views} x {part.num_samples:,} samples x {_BYTES}:"


def _is_one_table(plan: "StoredPlan") -> bool:
    """Whether all that is stored differs in the number of views alone."""
    alike = {(part.teacher, part.num_samples, tuple(part.outputs.items())) for part in plan.parts}
    return len(alike) == 1 and len(plan.parts) <= _SHOWN


def _views(plan: "StoredPlan") -> list[int]:
    return [part.num_views or 0 for part in plan.parts]


def _rows(plan: "StoredPlan") -> list[str]:
    """One for each output: values and bytes, or bytes for one sample in one view."""
    from kdsweep.sweep_file.asked import BYTES_PER_VALUE, bytes_in_words

    part = plan.parts[0]
    shown, left = list(part.outputs.items())[:_SHOWN], list(part.outputs.items())[_SHOWN:]
    if left:
        shown.append((f"({len(left)} more)", sum(values for _, values in left)))
    if len(shown) > 1 and part.num_samples is None:
        shown.append(("together", sum(part.outputs.values())))
    rows = []
    for name, values in shown:
        counted = plan.parts if _is_one_table(plan) else (part,)
        each = [one.num_bytes(values) for one in counted]
        num_bytes = None if None in each else sum(one for one in each if one is not None)
        size = (
            f"{bytes_in_words(BYTES_PER_VALUE * values)} each"
            if num_bytes is None
            else bytes_in_words(num_bytes)
        )
        rows.append(f"{'':<{LABEL}}{values:>9,} values {size:>15}  {name}")
    return rows


def _verdicts(plan: "StoredPlan") -> Iterator[str]:
    from kdsweep.sweep_file.asked import bytes_in_words

    most = bytes_in_words(plan.max_cache_bytes)
    if plan.refused:
        yield _refusal(plan)
    elif not plan.parts[0].outputs:
        pass  # has been said
    elif plan.stored == "none":
        yield "nothing is stored: the teacher is asked for each batch"
    elif plan.num_bytes is None:
        also = "" if plan.stored == "features" else ", features only where samples are counted"
        yield f"stored up to {most} for each trial{also}"
    else:
        num = len(plan.parts) + plan.unseen
        of_all = f" for {num} data sets or teachers," if num > 1 else ""
        up_to = "up to " if plan.is_bound else ""
        yield f"stored: {up_to}{bytes_in_words(plan.num_bytes)}{of_all} of at most {most}"
    by_reason: dict[str, list[str]] = {}
    for strategy, reason in plan.live.items():
        # Where nothing is stored it has been said already of all that could have lived on it.
        if reason != "nothing is stored":
            by_reason.setdefault(reason, []).append(strategy)
    for reason, names in by_reason.items():
        yield f"live: {', '.join(names)} ({reason})"


def _refusal(plan: "StoredPlan") -> str:
    needed = plan.bytes_of("features")
    return (
        f"{plan.refused} stored, and the teacher is asked for each batch"
        f"{' in place of the rest' if plan.stored != 'none' else ''}; "
        f"to store all of it set max_cache_bytes of the teacher to {needed} or more"
    )
