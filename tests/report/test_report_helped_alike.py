"""No verdict where a difference may be of other settings, or where nothing was learned."""

import pytest
from sweep_views import KD, NONE, replicated, student, view

from kdsweep.report.answers import failures, helped, strategies
from kdsweep.report.answers.alike import ChanceLevel, apart, apart_words, at_chance_words
from kdsweep.report.answers.helped_in_words import helped as in_words

MANY = {"num_classes": 10, "examples": {"validation": 400}}


def with_lr(number, accuracy, params, lr, *, strategy=KD, **more):
    found = student(number, accuracy, params, strategy=strategy, **more)
    train = {**found.trial["train"], "lr": lr}
    return found.model_copy(update={"trial": {**found.trial, "train": train}})


def section_of(*results, **more):
    return in_words(view(results, **{**MANY, **more}))


def test_one_that_diverged_at_another_learning_rate_is_no_verdict():
    section = section_of(
        with_lr(0, 0.0975, 1_000, 0.258), with_lr(1, 0.9387, 1_000, 0.0166, strategy=NONE),
        with_lr(2, 0.95, 9_000, 0.01), with_lr(3, 0.94, 9_000, 0.01, strategy=NONE),
    )  # fmt: skip
    assert section.sentences[0] == (
        "This sweep cannot tell whether distillation helped. It has students with and without a "
        "teacher at 2 sizes: the two cannot be told apart at 1; one kind has none above chance "
        "level at 1."
    )
    assert section.sentences[1] == (
        "At 1k parameters the best with a teacher is at chance level: t0, taught by kd, with "
        "9.75%, beside t1, without a teacher, with 93.87%. That is no answer on distillation. The "
        "two differ in train.lr (0.258 against 0.0166) as well."
    )
    assert section.sentences[2] == (
        "1 complete student cannot be told from guessing, of 10 classes: t0. It did not learn, as "
        "where a training diverges, and of such no verdict by size is given."
    )
    assert not any("-84" in sentence for sentence in section.sentences)
    first, second = section.numbers["by_size"]
    assert (first["verdict"], second["verdict"]) == ("cannot tell, at chance level", "cannot tell")
    assert list(first["apart"]) == [{"setting": "train.lr", "one": 0.258, "other": 0.0166}]
    assert (first["distilled_id"], first["undistilled_id"]) == ("t0", "t1")


def test_single_trials_of_other_settings_are_no_verdict_and_both_settings_are_named():
    results = [with_lr(0, 0.95, 1_000, 0.003), with_lr(1, 0.60, 1_000, 0.258, strategy=NONE)]
    section = section_of(*results)
    assert section.sentences[0] == (
        "This sweep cannot tell whether distillation helped. It has students with and without a "
        "teacher at 1 size: other settings differ too, with fewer than 3 students of a kind, at 1."
    )
    assert section.sentences[1].startswith(
        "At 1k parameters the only one with a teacher, taught by kd, reached 95.00% (95% interval "
    )
    assert section.sentences[1].endswith(
        "That is no answer on distillation: the two differ in train.lr (0.003 against 0.258) as "
        "well, and of one kind fewer than 3 students of this size learned anything."
    )
    assert section.tables[0].rows[0][-1].text == "cannot tell, other settings differ"
    # Nor do the seeds of one point make another learning rate the same.
    of_seeds = [
        *replicated(0, [0.90, 0.91, 0.92], 1_000),
        *(with_lr(n, 0.80 + n / 1000, 1_000, 0.2, strategy=NONE).model_copy(
            update={"point": 1, "replicate": n - 3, "replicates": 3}) for n in (3, 4, 5)),
    ]  # fmt: skip
    (found,) = helped.by_size(view(of_seeds, replicates=3), None)
    assert (found.verdict, found.is_told) == ("cannot tell, other settings differ", False)


@pytest.mark.parametrize(("num", "verdict"), [
    (2, "cannot tell, other settings differ"), (3, "ahead, one seed"),
])  # fmt: skip
def test_three_of_each_kind_are_a_verdict_that_says_what_differs(num, verdict):
    results = [
        *(with_lr(n, 0.95 - n / 100, 1_000, 0.003 + n / 1000) for n in range(3)),
        *(with_lr(9 + n, 0.60 - n / 100, 1_000, 0.258, strategy=NONE) for n in range(num)),
    ]
    (found,) = helped.by_size(view(results), 400)
    assert found.verdict == verdict
    said = section_of(*results).sentences[0]
    assert said.endswith(
        "The two differ in train.lr (0.003 against 0.258) as well: each is the best found."
    ) == (num == 3)  # fmt: skip


def test_the_same_settings_are_a_verdict_however_few():
    """Seeds and teachers are no settings of a student without one."""
    results = [student(0, 0.95, 1_000), student(1, 0.60, 1_000, strategy=NONE)]
    other = {**results[1].trial, "seed": 7, "teacher": {"model": {"name": "cnn", "width": 99}}}
    results[1] = results[1].model_copy(update={"trial": other})
    (found,) = helped.by_size(view(results), 400)
    assert (found.apart, found.verdict) == ((), "ahead, one seed")


def test_those_at_chance_level_count_neither_as_tries_nor_as_luck():
    results = [
        with_lr(0, 0.95, 1_000, 0.003), with_lr(1, 0.10, 1_000, 0.2), with_lr(2, 0.11, 1_000, 0.3),
        with_lr(3, 0.90, 1_000, 0.003, strategy=NONE),
    ]  # fmt: skip
    (found,) = helped.by_size(view(results, **MANY), 400)
    assert (found.num_distilled, found.num_undistilled, found.num_at_chance) == (1, 1, 2)
    assert found.by_luck == 0
    # Where the number of classes is unknown nothing is known of chance.
    (found,) = helped.by_size(view(results), 400)
    assert (found.num_distilled, found.num_at_chance) == (3, 0)
    both = [results[1], with_lr(4, 0.09, 1_000, 0.3, strategy=NONE)]
    assert "the best of either kind are at chance level: t1," in section_of(*both).sentences[1]


def test_a_difference_within_chance_names_the_settings_too():
    said = section_of(
        with_lr(0, 0.95, 1_000, 0.003), with_lr(1, 0.94, 1_000, 0.01, strategy=NONE)
    ).sentences[0]  # fmt: skip
    assert said.startswith("This sweep cannot tell whether distillation helped.")
    assert said.endswith(
        "at 1k parameters, and the two differ in train.lr (0.003 against 0.01) as well."
    )


def test_a_control_that_did_not_learn_is_named():
    section = section_of(
        student(0, 0.10, 1_000, role="control"),
        student(1, 0.90, 1_000, strategy=NONE, role="control"),
    )  # fmt: skip
    said = next(s for s in section.sentences if s.startswith("The control with kd"))
    assert said.endswith("1 of these 2 trainings is at chance level: it did not learn.")
    assert section.numbers["controls"][0]["num_at_chance"] == 1
    pairs = section_of(student(0, 0.10, 1_000), student(1, 0.90, 1_000, strategy=NONE))
    said = next(s for s in pairs.sentences if s.startswith("Against no teacher"))
    assert said.endswith("1 of these 2 trainings is at chance level: it did not learn.")
    assert at_chance_words(2, 6).startswith(" 2 of these 6 trainings are at chance level: they")
    assert at_chance_words(0, 6) == ""


@pytest.mark.parametrize(("accuracy", "classes", "examples", "has"), [
    # Wilson's interval of 41 of 359 begins at 8.5 %, that of 54 at 11.7 %.
    (41 / 359, 10, 359, True), (54 / 359, 10, 359, False), (0.0, 10, 359, True),
    (0.55, 2, 100, True), (0.65, 2, 100, False),
    (0.1, 10, None, True), (0.101, 10, None, False),
    (0.1, None, 359, False), (1.0, 1, 359, False), (float("nan"), 10, 359, False),
])  # fmt: skip
def test_chance_level(accuracy, classes, examples, has):
    assert ChanceLevel(classes, examples).has(accuracy) == has


def test_what_is_apart_in_words():
    one, other = student(0, 0.5, 10, width=8), student(1, 0.5, 10, width=4, strategy=NONE)
    (found,) = apart(one, other)
    assert apart_words([found]) == "student.width (8 against 4)"
    lacking = other.model_copy(update={"trial": {"student": other.trial["student"]}})
    assert apart_words(apart(one, lacking)) == (
        "student.width (8 against 4), train.epochs (4 against none) and "
        "train.lr (0.001 against none)"
    )
    assert apart_words([found] * 5).endswith("and 2 more")


def test_strategies_that_learned_nothing_are_ranked_behind_nobody():
    results = [
        student(0, 0.80, 1_000), student(1, 0.10, 1_000, strategy=NONE),
        student(2, 0.11, 1_000, strategy={"name": "fitnet", "weight": 1.0}),
        student(3, 0.10, 90_000), student(4, 0.09, 90_000, strategy=NONE),
    ]  # fmt: skip
    seen = view(results, **MANY)
    said = strategies.strategies(seen).sentences
    assert said[0].startswith("At 1k parameters kd alone has students that learned: 80.00% ")
    assert said[0].endswith(" None with fitnet or no teacher learned.")
    assert said[1] == "At 90k parameters no student learned: all are at chance level."
    assert failures.failures(seen).sentences == (
        "No trial of 5 failed.",
        "4 complete students did not learn, though no error ended the training: see whether "
        "distillation helped.",
    )


def test_luck_explains_nothing_of_a_difference_that_goes_the_other_way():
    results = [student(0, 0.99, 1_000, strategy=NONE)]
    results += [student(n, 0.5, 1_000, strategy={**KD, "alpha": n / 10}) for n in (1, 2)]
    said = in_words(view(results, **MANY)).sentences
    assert "against luck: the numbers of tries differ, which alone would make +" in said[0]
    # The two of kd are alike in all but their strategy, so that one of none is held against both.
    assert "of 1 pair of trials, 3 in all, of those alike the mean)" in said[1]
