"""What the confirmations of a sweep say of an exported student, for people and for programs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep.export.markdown import table
from kdsweep.export.taught import Taught
from kdsweep.report.confirmed_sentences import opened_before_words, with_sign
from kdsweep.report.labels import num_words, strategy_label
from kdsweep.results.confirmation import OWN, TEST_ACCURACY, Confirmation, Confirmed
from kdsweep.results.intervals import CONFIDENCE, Summary
from kdsweep.results.record import Metric, TrialResult

_MEASURED: Mapping[Metric, str] = {
    "accuracy": "accuracy on test data", "loss": "cross-entropy on test data",
    "params": "number of parameters", "macs": "number of multiply-adds",
    "size_bytes": "bytes of the weights", "latency_ms": "latency",
}  # fmt: skip


@dataclass(frozen=True)
class TrainedAgain:
    """A confirmation, and what it found of the student that is exported."""

    confirmation: Confirmation
    found: Confirmed
    teacher: Mapping[str, float]
    """Accuracies of the student's own teacher, as ``Confirmation.teacher`` has them."""


def trained_again(
    confirmations: Sequence[Confirmation], result: TrialResult, taught: Taught
) -> tuple[TrainedAgain, ...]:
    """The confirmations of which the trial is a student whose seeds have all ended.

    They stay in their order, see ``confirmations.best_first``.
    """
    mine = set(result.trial_ids)
    return tuple(
        TrainedAgain(each, found, each.teacher if taught.is_of_sweep else {})
        for each in confirmations
        for found in each.students
        if mine & set(found.point.trial_ids) and len(found.records) == len(each.confirms.seeds)
    )


def said_of(again: TrainedAgain) -> dict[str, Any]:
    """What a confirmation found, as programs read it: accuracies and probabilities are 0..1."""
    whole, found = again.confirmation, again.found
    return {
        "run": whole.meta.name,
        "finished": whole.is_whole,
        "trainings_ended": whole.num_ended,
        "trainings_planned": whole.confirms.num_trials,
        "with_validation": whole.confirms.with_validation,
        "opened": whole.opened,
        "opened_before": [each.model_dump() for each in whole.confirms.opened_before],
        "fresh_seeds": list(whole.confirms.seeds),
        "seeds_failed": found.num_failed,
        "sweep_validation_accuracy": found.swept,
        "validation_accuracy": _summary(found.validation),
        "test_accuracy": _summary(found.test),
        "optimism": found.optimism,
        "optimism_on_test": found.optimism_on_test,
        "teacher": {
            "validation_accuracy": again.teacher.get("accuracy"),
            "test_accuracy": again.teacher.get(TEST_ACCURACY),
        },
        "test_accuracy_minus_own_control": _difference(found.minus.get(OWN)),
        "probability_on_front": found.on_front,
    }


def _summary(found: Summary | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mean": found.mean,
        "deviation": _finite(found.deviation),
        "seeds": len(found.values),
    }


def _difference(minus: Summary | None) -> dict[str, Any] | None:
    if minus is None:
        return None
    low, high = minus.interval
    return {
        **(_summary(minus) or {}),
        "confidence": CONFIDENCE,
        "low": _finite(low),
        "high": _finite(high),
        "excludes_chance": None if math.isnan(low) else low > 0 or high < 0,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def paragraphs(again: TrainedAgain) -> Iterable[str]:
    """What a confirmation found, as a section of the model card."""
    whole, found = again.confirmation, again.found
    yield f"### Trained again and tested: `{whole.meta.name}`"
    if not whole.is_whole:
        yield (
            f"This confirmation is unfinished: {whole.num_ended} of "
            f"{num_words(whole.confirms.num_trials, 'training')} have ended. Those of this student "
            "have; some that it is to be compared with have not."
        )
    yield _what_was_done(again)
    if found.test is None:
        yield "None of these trainings came to an accuracy on test data."
        return
    yield _accuracies(again, found.test)
    yield " ".join(_on_the_accuracies(again))
    if strategy_label(found.result or found.records[0]) != "none":
        yield _on_distillation(found)
    if found.on_front is not None:
        yield _on_the_front(whole, found.on_front)


def _what_was_done(again: TrainedAgain) -> str:
    whole = again.confirmation
    learned = "training and validation data" if whole.confirms.with_validation else "training data"
    num = whole.meta.examples.get("test")
    samples = "" if num is None else f" ({num:,} samples)"
    untouched = ["No run beside the sweep had opened the test data before."]
    before = opened_before_words(whole.confirms.opened_before) or untouched
    return (
        f"The run `{whole.meta.name}` trained the same settings again with "
        f"{num_words(len(whole.confirms.seeds), 'fresh seed')} of random numbers on {learned}, and "
        f"measured these other students on test data{samples}, from which nothing was learned; "
        f"the files hold the sweep's own. {' '.join(before)}"
    )


def _accuracies(again: TrainedAgain, test: Summary) -> str:
    """Student and teacher side by side, a row for each set of data."""
    whole, found = again.confirmation, again.found
    of_sweep = len(found.point.trial_ids)
    in_sweep = "in the sweep" + (f", mean of {of_sweep} trainings" if of_sweep > 1 else "")
    num = num_words(len(test.values), "fresh seed")
    fresh = f"{num}, mean ±deviation" if len(test.values) > 1 else num
    learned = "none: learned from these" if whole.confirms.with_validation else "not known"
    return table(
        ("accuracy", f"student {in_sweep}", f"student, {fresh}", "teacher"),
        (
            ("validation data", _percent(found.swept),
             learned if found.validation is None else _mean(found.validation),
             _percent(again.teacher.get("accuracy"))),
            ("test data", "not measured", _mean(test), _percent(again.teacher.get(TEST_ACCURACY))),
        ),
    )  # fmt: skip


def _on_the_accuracies(again: TrainedAgain) -> Iterable[str]:
    whole, found = again.confirmation, again.found
    if found.num_failed:
        yield (
            f"{num_words(found.num_failed, 'training')} with a fresh seed failed and "
            f"{'is' if found.num_failed == 1 else 'are'} not in these numbers."
        )
    if found.optimism is not None:
        yield (
            f"On the same validation data the sweep's accuracy is {100 * abs(found.optimism):.2f} "
            f"percentage points {'above' if found.optimism >= 0 else 'below'} the mean of the "
            "fresh seeds."
        )
    yield (
        "Validation and test data are different samples, and one set may be harder than the "
        "other: compare numbers within a row."
    )
    if whole.confirms.with_validation:
        yield (
            "The fresh seeds had the validation data to learn from as well, which the student in "
            "the files had not."
        )


def _on_distillation(found: Confirmed) -> str:
    minus = found.minus.get(OWN)
    if minus is None:
        return (
            "Nothing says whether the teacher helped: of the same student without a teacher (its "
            "own control) there is no accuracy on test data."
        )
    pairs = f"mean of {num_words(len(minus.values), 'pair')} of the same seed"
    above = (
        "Against its own control, the same student trained without a teacher, its accuracy on "
        f"test data differs by {100 * minus.mean:+.2f} percentage points ({pairs}"
    )
    if math.isnan(minus.half):
        return f"{above}): of one pair nobody can say whether that is chance."
    low, high = minus.interval
    ends = f", {CONFIDENCE:.0%} interval {100 * low:+.2f} to {100 * high:+.2f})"
    if low > 0 or high < 0:
        did = "helped" if low > 0 else "hurt"
        return f"{above}{ends}: the interval excludes zero, and so chance. Distillation {did}."
    return (
        f"{above}{ends}: the interval has zero in it, so chance cannot be excluded. Whether "
        "distillation helped cannot be told."
    )


def _on_the_front(whole: Confirmation, probability: float) -> str:
    measured = " and ".join(_MEASURED[name] for name in whole.meta.objectives)
    return (
        f"P(front) {probability:.2f}: how probably it is on the front of {measured} among the "
        f"{len(whole.points)} students and controls (what students are compared with) of this run, "
        "by the bootstrap over seeds. On the front means that none of the others is at least as "
        "good in all of these and better in one."
    )


def _mean(found: Summary) -> str:
    return f"{found.mean:.2%} {with_sign(found.deviation)}".rstrip()


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.2%}"
