"""A choice for scripts."""

from typing import Any

from kdsweep.report.choice import Facts, against, noise_sentence, why
from kdsweep.report.rows import finite_or_none, rows_with_intervals
from kdsweep.results.limits import Limit
from kdsweep.results.noise import accuracy_noise
from kdsweep.results.record import TrialResult
from kdsweep.results.relaxing import Relaxation
from kdsweep.results.select import Choice


def choice_row(choice: Choice, facts: Facts) -> dict[str, Any]:
    """All that ``select`` found, as plain data.

    ``noise`` of a runner-up is what its accuracy and the chosen one's may differ by through chance
    (0..1, see ``accuracy_noise``); none where that is not known.
    """
    chosen = choice.chosen
    described = rows_with_intervals(
        [*([] if chosen is None else [chosen]), *choice.runners_up], facts.examples
    )
    others = zip(described[1:], choice.runners_up, strict=True) if chosen is not None else ()
    return {
        "chosen": None if chosen is None else described[0],
        "why": None if chosen is None else why(choice, facts),
        "prefer": choice.prefer,
        "limits": [_limit(each) for each in choice.limits],
        "fitting": len(choice.fitting),
        "teacher": facts.teacher and {k: finite_or_none(v) for k, v in facts.teacher.items()},
        "validation_examples": facts.examples,
        "noise": noise_sentence(choice, facts),
        "runners_up": [
            {**row, "against": against(other, choice, facts), "noise": _noise(other, choice, facts)}
            for row, other in others
        ],
        "rejected": [
            {
                "number": result.number,
                "trial_id": result.trial_id,
                "reasons": list(reasons),
                "on_front": result.trial_id in choice.front_ids,
            }
            for result, reasons in choice.rejected
        ],
        "advice": list(choice.advice),
        "relax": [_relaxation(each) for each in choice.relaxations],
    }


def _noise(other: TrialResult, choice: Choice, facts: Facts) -> float | None:
    chosen = choice.chosen
    if chosen is None or not {"accuracy"} <= set(chosen.metrics) & set(other.metrics):
        return None
    return accuracy_noise(chosen, other, facts.examples)


def _limit(limit: Limit) -> dict[str, Any]:
    return {
        "metric": limit.metric,
        "min" if limit.is_lower else "max": finite_or_none(limit.bound),
        "of": "sweep" if limit.is_own else "teacher" if limit.teacher is not None else "given",
    }


def _relaxation(relaxation: Relaxation) -> dict[str, Any]:
    """Of a distance from the teacher the bound is the distance."""
    return {
        "trial_id": relaxation.trial.trial_id,
        "limits": [
            {**_limit(limit), "bound": finite_or_none(bound)} for limit, bound in relaxation.bounds
        ],
    }
