"""Whether distillation helped, in full sentences, each with its number and its interval."""

import pytest
from sweep_views import KD, NONE, replicated, student, view

from kdsweep.report.answers.helped_in_words import helped
from kdsweep.report.answers.kd_control import control_pairs
from kdsweep.report.answers.sureness import newcombe

KNOWN = {"examples": {"validation": 100}}
# 0.1 -+ 2.776445 * 0.01 * sqrt(2 / 3); of each mean 4.302653 * 0.01 / sqrt(3).
BETTER, WORSE = [0.90, 0.91, 0.92], [0.80, 0.81, 0.82]


def said_of(*results, **meta):
    return helped(view(results, **{**KNOWN, **meta})).sentences


def test_distillation_helped():
    results = [*replicated(0, BETTER, 1_000), *replicated(1, WORSE, 1_000, strategy=NONE)]
    assert said_of(*results, replicates=3) == (
        "At 1k parameters distillation helped: the only one with a teacher, taught by kd, reached "
        "91.00% (95% interval 88.5 to 93.5), and the only one without 81.00% (95% interval 78.5 to "
        "83.5). The difference is +10.00 percentage points (95% interval +7.73 to "
        "+12.27).",
        "Against no teacher and with all else the same, kd changed the accuracy by +10.00 "
        "percentage points (95% interval +10.00 to +10.00, of 3 pairs of trials), so that it "
        "helped.",
    )


def test_distillation_hurt():
    results = [*replicated(0, WORSE, 1_000), *replicated(1, BETTER, 1_000, strategy=NONE)]
    said = said_of(*results, replicates=3)
    assert said[0].startswith("At 1k parameters distillation hurt: the only one with a teacher")
    assert said[0].endswith("is -10.00 percentage points (95% interval -12.27 to -7.73).")
    assert said[1].endswith("so that it hurt.")


def test_sizes_that_differ_in_what_they_say_are_counted_and_the_largest_difference_is_told():
    results = [
        *replicated(0, BETTER, 1_000), *replicated(1, WORSE, 1_000, strategy=NONE),
        *replicated(2, WORSE, 9_000, width=9),
        *replicated(3, [each + 0.02 for each in BETTER], 9_000, strategy=NONE, width=9),
        *replicated(4, BETTER, 90_000, width=19),
        *replicated(5, BETTER, 90_000, strategy=NONE, width=19),
    ]  # fmt: skip
    said = said_of(*results, replicates=3)
    assert said[0] == (
        "Of 3 sizes at which there are students with and without a teacher: distillation helped at "
        "1; distillation hurt at 1; the two cannot be told apart at 1. The largest difference that "
        "is no chance is -12.00 percentage points (95% interval -14.27 to -9.73), at 9k parameters."
    )
    assert said[1].startswith("At 1k parameters distillation helped: ")
    assert said[2].startswith("At 9k parameters distillation hurt: ")


def test_it_cannot_be_told():
    said = said_of(student(0, 0.81, 1_000), student(1, 0.83, 1_000, strategy=NONE))
    low, high = newcombe(0.81, 0.83, 100)
    assert said[0] == (
        "This sweep cannot tell whether distillation helped. It has students with and without a "
        "teacher at 1 size, and nowhere is the best of the one kind farther from the best of the "
        "other than chance and the number of tries explain. The largest difference is -2.00 "
        f"percentage points (95% interval {100 * low:+.2f} to {100 * high:+.2f}), at 1k parameters."
    )


def test_of_one_seed_each_it_is_not_said_that_distillation_helped():
    said = said_of(
        student(0, 0.99, 1_000), student(1, 0.5, 1_000, strategy={**KD, "alpha": 0.9}),
        student(2, 0.5, 1_000, strategy=NONE),
    )  # fmt: skip
    assert said[0].startswith(
        "At 1k parameters the best student with a teacher is ahead, with one seed each: the best "
        "of 2 with a teacher, taught by kd, reached 99.00% (95% interval 94.6 to 99.8), "
    )
    # Of two tries with a binomial deviation of 0.00995, Blom's quantile of 0.7222 is 0.5895.
    assert said[0].endswith("of which luck explains +0.59: the numbers of tries differ.")
    assert "the luck of the one seed of each is not in that" in said[1]


def test_without_a_control():
    assert said_of(student(0, 0.8, 1_000), student(1, 0.7, 1_000))[0] == (
        "This sweep cannot tell whether distillation helped, because it has no control: no "
        "complete student was trained without a teacher. The best of 2 students with one reached "
        "80.00% (95% interval 71.1 to 86.7)."
    )
    assert said_of(student(0, 0.8, 1_000, strategy=NONE))[0] == (
        "This sweep cannot tell whether distillation helped, because no complete student was "
        "trained with a teacher. The best of 1 student without one reached 80.00% (95% interval "
        "71.1 to 86.7)."
    )
    apart = said_of(student(0, 0.8, 1_000), student(1, 0.7, 9_000, strategy=NONE))
    assert (
        "it has 1 student with a teacher and 1 without one, but at none of its 2 sizes both"
        in (apart[0])
    )
    assert said_of()[0] == "No student is complete yet: nothing can be said of distillation."


def test_the_two_controls_are_compared_in_words_and_once():
    results = [
        student(0, 0.84, 1_000, role="control"),
        student(1, 0.86, 1_000, strategy=NONE, role="control"),
    ]
    low, high = newcombe(0.84, 0.86, 100)
    said = said_of(*results)
    assert said[1] == (
        "The control with kd at its defaults reached 84.00%, and the control without a teacher, "
        "the same student trained for as long, 86.00%: -2.00 percentage points (95% interval "
        f"{100 * low:+.2f} to {100 * high:+.2f}, of 100 validation examples), which cannot be told "
        "from chance."
    )
    assert not any("all else the same" in sentence for sentence in said)


@pytest.mark.parametrize(("kd", "none", "verdict", "words"), [
    ([0.90, 0.92, 0.91], [0.80, 0.81, 0.82], "helped", "so that kd helped."),
    ([0.80, 0.81, 0.82], [0.90, 0.92, 0.91], "hurt", "so that kd hurt."),
    ([0.80, 0.82, 0.81], [0.80, 0.81, 0.82], "cannot tell", "which cannot be told from chance."),
])  # fmt: skip
def test_controls_with_replicates_are_compared_seed_by_seed(kd, none, verdict, words):
    results = [
        *replicated(0, kd, 1_000, role="control"),
        *replicated(1, none, 1_000, strategy=NONE, role="control"),
        *replicated(2, [0.1, 0.2, 0.3], 1_000),  # of the search
    ]
    (pair,) = control_pairs(results, None)
    assert (pair.strategy, pair.num_seeds, pair.verdict) == ("kd", 3, verdict)
    said = next(s for s in said_of(*results, replicates=3) if s.startswith("The control with kd"))
    assert "over 3 pairs of seeds" in said
    assert said.endswith(words)


def test_a_control_that_failed_is_compared_with_nothing():
    lone = student(0, 0.84, 1_000, role="control")
    failed = student(1, 0.8, 1_000, strategy=NONE, role="control", status="failed", metrics={})
    assert control_pairs([lone], 100) == []
    assert control_pairs([lone, failed], 100) == []
    # With other seeds than those of the other there is no pair.
    other = student(2, 0.8, 1_000, strategy=NONE, role="control")
    assert control_pairs([lone, other.model_copy(update={"replicate": 1})], 100) == []
