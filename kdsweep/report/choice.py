"""A choice in words: why this student, what the others would cost or gain, what the rest miss."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsweep.report.axes import short
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.report.table import metric_text, value_text
from kdsweep.results.knee import knee_distances
from kdsweep.results.limits import OF_LATENCY
from kdsweep.results.noise import accuracy_noise
from kdsweep.results.pareto import SIZE_LIKE, Objectives, size_and_quality
from kdsweep.results.record import Metric, TrialResult
from kdsweep.results.select import Choice, preferred_metric

SHOWN_REJECTED = 5
_NAMES: dict[Metric, str] = {
    "params": "parameters", "macs": "multiply-adds", "size_bytes": "size", "latency_ms": "latency"
}  # fmt: skip
_UNITS: dict[Metric, str] = {
    **_NAMES, "size_bytes": "bytes", "latency_ms": f"ms ({OF_LATENCY})"
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a choice is explained by: the sweep's objectives, its teacher, its validation data."""

    objectives: Objectives
    teacher: dict[str, float] | None = None
    examples: int | None = None
    """How many validation examples there are, if that is known."""


def why(choice: Choice, facts: Facts) -> str:
    """``the most accurate of the 12 that fit; 0.4 points below the teacher with 9% of its ...``."""
    chosen = choice.chosen
    assert chosen is not None
    said = [_ranked_first(choice, chosen, facts)]
    if beside := _beside_the_teacher(chosen, facts.teacher):
        said.append(beside)
    return "; ".join(said)


def against(other: TrialResult, choice: Choice, facts: Facts) -> str:
    """What ``other`` in place of the chosen one would cost or gain, and how sure that is."""
    chosen = choice.chosen
    assert chosen is not None
    said = [_accuracy_against(other, chosen, facts)]
    for metric in _sizes_of_interest(choice, facts.objectives):
        here, there = chosen.metrics.get(metric, 0.0), other.metrics.get(metric, 0.0)
        if here > 0 and there > 0:
            said.append(f"{_times(there / here)} {_NAMES[metric]}")
    return ", ".join(said)


def noise_sentence(choice: Choice, facts: Facts) -> str | None:
    """How many of the runners-up cannot be told from the choice by accuracy; none if all can."""
    chosen, num = choice.chosen, len(choice.runners_up)
    if chosen is None or not num:
        return None
    within = [other for other in choice.runners_up if _is_within_noise(other, chosen, facts)]
    if not within:
        return None
    widest = max(_noise(other, chosen, facts) or 0.0 for other in within)
    what = [f"{facts.examples:,} validation examples"] if facts.examples else []
    what += [f"{chosen.replicates} replicates"] if len(chosen.trial_ids) > 1 else []
    which = (
        f"{len(within)} of the next {num} cannot" if len(within) < num
        else "the next one cannot" if num == 1 else f"none of the next {num} can"
    )  # fmt: skip
    return (
        f"{which} be told from it by accuracy: {' and '.join(what)} leave "
        f"up to ±{100 * widest:.1f} points to chance"
    )


def rejected_lines(choice: Choice) -> list[str]:
    """The front members that do not fit, each with what it misses; the first few."""
    rejected = choice.rejected_of_front
    lines = [
        f"{result.trial_id}  {label(result)}: {'; '.join(reasons)}"
        for result, reasons in rejected[:SHOWN_REJECTED]
    ]
    left = len(rejected) - SHOWN_REJECTED
    return [*lines, f"and {left} more of the front: see --json"] if left > 0 else lines


def label(result: TrialResult) -> str:
    """``cnn w8 d1, kd+fitnet``, and that it is a control."""
    control = " (control)" if result.role == "control" else ""
    return f"{student_label(result)}, {strategy_label(result)}{control}"


def runner_up_lines(choice: Choice, facts: Facts) -> list[str]:
    """Two lines for each: who and how good, and how that is against the choice."""
    lines = []
    for other in choice.runners_up:
        metrics = dict.fromkeys(("accuracy", *_sizes_of_interest(choice, facts.objectives)))
        values = (_valued(other, each, choice) for each in metrics)
        lines.append(f"{other.trial_id}  {label(other)}: {', '.join(values)}")
        lines.append(f"{'':{len(other.trial_id)}}  {against(other, choice, facts)}")
    return lines


def limits_met(choice: Choice) -> list[str]:
    """What the chosen one has of each limited metric, in the unit that was asked in."""
    chosen = choice.chosen
    assert chosen is not None
    said = []
    for limit in choice.limits:
        of = f" ({OF_LATENCY})" if limit.metric == "latency_ms" else ""
        far = "at least" if limit.is_lower else "at most"
        value, bound = limit.said(chosen.metrics[limit.metric]), limit.said(limit.bound)
        said.append(f"{limit.name} {value}{of}, asked {far} {bound}")
    return said


def _valued(result: TrialResult, metric: Metric, choice: Choice) -> str:
    """A metric with its unit: of a size kB where the limit was given so."""
    asked = next((each for each in choice.limits if each.metric == metric and each.is_in_kb), None)
    if asked is not None and metric in result.metrics:
        return asked.said(result.metrics[metric])
    return f"{metric_text(result, metric)} {_UNITS.get(metric, '')}".strip()


def _ranked_first(choice: Choice, chosen: TrialResult, facts: Facts) -> str:
    num = len(choice.fitting)
    of = f"the {num} that fit" if choice.limits else f"{num} complete {_unit_of(chosen, num)}"
    if num == 1 and not choice.rejected:
        return f"the only complete {_unit_of(chosen, 1)}"
    if num == 1:
        return (
            f"the only one of {len(choice.rejected) + 1} complete {_unit_of(chosen, 2)} that fits"
        )
    if choice.prefer == "knee":
        return _knee_words(choice, chosen, facts)
    best = {"accuracy": "most accurate", "params": "smallest", "latency": "fastest"}[choice.prefer]
    metric = preferred_metric(choice.prefer, facts.objectives)
    value = chosen.metrics[metric]
    others = sum(each.metrics[metric] == value for each in choice.fitting) - 1
    if not others:
        return f"the {best} of {of}"
    equal = f"{others} other{'s are' if others > 1 else ' is'} equal in that"
    return f"the {best} of {of} ({equal}: the other objectives decide)"


def _knee_words(choice: Choice, chosen: TrialResult, facts: Facts) -> str:
    members = knee_distances(choice.fitting, facts.objectives)
    ends = f"{_at(members[0][0], facts)} and {_at(members[-1][0], facts)}"
    far = next(distance for member, distance in members if member.trial_id == chosen.trial_id)
    if len(members) < 3:
        num = "one member" if len(members) == 1 else "two members"
        return f"the better end: a front of {num}, as of what fits, has no knee"
    if far <= 0:
        return f"the better end: the front of what fits bends away from the line between {ends}"
    return (
        f"the knee of the {len(members)} on the front of what fits: {far:.2f} from the line "
        f"between its ends, {ends}"
    )


def _at(member: TrialResult, facts: Facts) -> str:
    size, quality = size_and_quality(facts.objectives)
    values = [value_text(each, member.metrics.get(each)) for each in (size, quality)]
    return f"{member.trial_id} ({values[0]} {_UNITS[size]}, {values[1]})"


def _beside_the_teacher(chosen: TrialResult, teacher: dict[str, float] | None) -> str:
    theirs, ours = (teacher or {}).get("accuracy"), chosen.metrics.get("accuracy")
    if theirs is None or ours is None:
        return ""
    points = 100 * (ours - theirs)
    said = (
        "as accurate as the teacher" if abs(points) < 0.005
        else f"{abs(points):.2f} points {'below' if points < 0 else 'above'} the teacher"
    )  # fmt: skip
    whole, params = (teacher or {}).get("params", 0.0), chosen.metrics.get("params", 0.0)
    return f"{said} with {_percent(params / whole)} of its parameters" if whole > 0 else said


def _accuracy_against(other: TrialResult, chosen: TrialResult, facts: Facts) -> str:
    here, there = chosen.metrics.get("accuracy"), other.metrics.get("accuracy")
    if here is None or there is None:
        return "accuracy not measured"
    points = 100 * (there - here)
    if points == 0:
        return "as accurate"
    said = f"{abs(points):.2f} points {'more' if points > 0 else 'less'} accurate"
    if not _is_within_noise(other, chosen, facts):
        return said
    return f"{said} (within the noise of ±{100 * (_noise(other, chosen, facts) or 0):.1f})"


def _is_within_noise(other: TrialResult, chosen: TrialResult, facts: Facts) -> bool:
    noise = _noise(other, chosen, facts)
    if noise is None:
        return False
    return abs(other.metrics["accuracy"] - chosen.metrics["accuracy"]) < noise


def _noise(other: TrialResult, chosen: TrialResult, facts: Facts) -> float | None:
    if "accuracy" not in other.metrics or "accuracy" not in chosen.metrics:
        return None
    return accuracy_noise(chosen, other, facts.examples)


def _sizes_of_interest(choice: Choice, objectives: Objectives) -> Sequence[Metric]:
    """Parameters, and the sizes that are limited, preferred or objectives."""
    asked = {limit.metric for limit in choice.limits} | set(objectives)
    asked |= {"params", preferred_metric(choice.prefer, objectives)}
    return [metric for metric in SIZE_LIKE if metric in asked]


def _times(ratio: float) -> str:
    if abs(ratio - 1) < 0.005:
        return "the same"
    return (
        f"{short(float(f'{ratio:.3g}'))} times the" if ratio >= 2 else f"{_percent(ratio)} of the"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.095 else f"{100 * share:.2g}%"


def _unit_of(chosen: TrialResult, num: int) -> str:
    one = "point" if len(chosen.trial_ids) > 1 else "trial"
    return one if num == 1 else f"{one}s"
