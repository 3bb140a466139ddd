import pytest
from sweep_views import KD, NONE, RUN, replicated, shares, student, view

from kdsweep.report.answers import cost, failures, helped, mattered, strategies
from kdsweep.report.answers.confirmed import Told, confirmed
from kdsweep.report.answers.going_on import go_on
from kdsweep.report.answers.helped_in_words import helped as in_words
from kdsweep.report.answers.made import controls, made
from kdsweep.report.answers.section import Table, cells, counted, plain
from kdsweep.report.answers.sureness import luck_of_the_best, newcombe
from kdsweep.report.importance import ObjectiveImportance
from kdsweep.report.pictures import importance
from kdsweep.results.meta import TeacherMeta


def test_the_best_of_each_kind_at_each_size():
    results = [
        student(0, 0.80, 1_000), student(1, 0.70, 1_000), student(2, 0.60, 1_000, strategy=NONE),
        student(3, 0.90, 9_000, strategy=NONE),
    ]  # fmt: skip
    (found,) = helped.by_size(view(results), 100)
    assert (found.sizes, found.strategy, found.num_distilled, found.num_undistilled) == (
        "1k", "kd", 2, 1
    )  # fmt: skip
    assert found.difference == pytest.approx(0.2)
    assert found.interval == newcombe(0.8, 0.6, 100)
    # Of two tries with a binomial deviation of 0.04.
    assert found.by_luck == pytest.approx(luck_of_the_best(2, 0.04))
    assert not found.over_seeds


def test_one_seed_is_ahead_but_has_not_helped():
    """The luck of a seed is in no interval over validation examples."""
    assert helped.verdict((0.01, 0.2), over_seeds=False) == "ahead, one seed"
    assert helped.verdict((0.01, 0.2), over_seeds=True) == "helped"
    assert helped.verdict((-0.2, -0.01), over_seeds=True) == "hurt"
    assert helped.verdict((-0.2, -0.01), over_seeds=False) == "behind, one seed"
    assert helped.verdict((-0.1, 0.1), over_seeds=True) == "cannot tell"
    assert helped.verdict((0.01, 0.2), less=0.02, over_seeds=True) == "cannot tell"
    assert helped.verdict(None, over_seeds=True) == "cannot tell"


def test_replicates_are_compared_by_their_spread():
    results = [
        *replicated(0, [0.90, 0.91, 0.92], 1_000),
        *replicated(1, [0.80, 0.81, 0.82], 1_000, strategy=NONE),
    ]
    (found,) = helped.by_size(view(results, replicates=3), None)
    # 0.1 -+ 2.776445 * 0.01 * sqrt(2 / 3)
    assert found.interval == pytest.approx((0.1 - 0.022670, 0.1 + 0.022670), abs=1e-5)
    assert (found.over_seeds, found.verdict) == (True, "helped")
    (pair,) = helped.paired(results, None)
    assert (pair.strategy, pair.num_pairs, pair.verdict) == ("kd", 3, "helped")
    assert pair.difference == pytest.approx(0.1)
    section = in_words(view(results, replicates=3))
    assert section.sentences[0].startswith("At 1k parameters distillation helped: the only one ")
    assert not any("trained once" in sentence for sentence in section.sentences)


def test_pairs_differ_in_their_strategy_alone():
    results = [
        student(0, 0.80, 1_000, strategy=NONE), student(1, 0.83, 1_000),
        student(2, 0.85, 1_000, strategy={**KD, "alpha": 0.5}),
        student(3, 0.99, 1_000, width=9),  # of another width: no pair
    ]  # fmt: skip
    (found,) = helped.paired(results, 100)
    assert (found.strategy, found.num_pairs, found.deviation) == ("kd", 1, None)
    assert found.difference == pytest.approx(0.04)
    assert found.interval == pytest.approx(newcombe(0.84, 0.80, 100))
    assert found.verdict == "cannot tell"


def test_a_sweep_that_cannot_tell_says_so():
    alone = in_words(view([student(0, 0.8, 1_000)]))
    assert alone.sentences[0].startswith("This sweep cannot tell whether distillation helped")
    results = [
        student(0, 0.81, 1_000, epochs=(0.11, 0.37, 0.81)), student(1, 0.8, 1_000, strategy=NONE)
    ]  # fmt: skip
    section = in_words(view(results))
    assert section.numbers["validation_examples"] == 100
    assert section.sentences[0].startswith(
        "This sweep cannot tell whether distillation helped. It has"
    )
    assert "+1.00 percentage points" in section.sentences[0]
    assert any("trained once" in sentence for sentence in section.sentences)


def test_strategies_at_a_size_by_hand():
    results = [
        student(0, 0.80, 1_000, epochs=(0.11, 0.37, 0.80)), student(1, 0.90, 1_000),
        student(2, 0.84, 1_000, strategy=NONE),
    ]  # fmt: skip
    first, second = strategies.compared(view(results))
    assert (first.strategy, first.num, first.best, first.is_first) == ("kd", 2, 0.9, True)
    assert (first.median, first.mean) == pytest.approx((0.85, 0.85))
    assert first.deviation == pytest.approx(0.1 / 2**0.5)
    assert second.behind == pytest.approx(0.06)
    assert second.interval == pytest.approx(newcombe(0.9, 0.84, 100))
    (said,) = strategies.strategies(view(results)).sentences
    assert said == (
        "At 1k parameters kd is first, with 90.00% (95% interval 82.6 to 94.5; the best of 2, "
        "whose median is 85.00%). Next is no teacher, 6.00 percentage points behind (95% interval "
        "-3.50 to +15.54). It cannot be told from no teacher."
    )


def _with_temperatures(pairs):
    """A student for each temperature and accuracy, at two sizes that differ by 0.5."""
    results = []
    for temperature, accuracy in pairs:
        for size, more in ((1_000, 0.0), (10_000, 0.5)):
            strategy = {**KD, "temperature": temperature}
            drawn = {"strategy": "kd", "strategy[kd].temperature": temperature}
            found = student(len(results), accuracy + more, size, strategy=strategy)
            results.append(found.model_copy(update={"params": drawn}))
    return results


def test_a_direction_is_found_among_students_of_like_size():
    results = _with_temperatures([(1.0, 0.10), (2.0, 0.11), (3.0, 0.12), (4.0, 0.13), (5.0, 0.14)])
    (found,) = mattered.directions(view(results))
    assert (found.setting, found.num, found.low, found.high) == ("T", 10, 1, 5)
    # The size, which makes fifty times as much, does not hide it.
    assert found.correlation == pytest.approx(1)
    assert found.verdict == "higher is better"
    falling = mattered.directions(
        view(_with_temperatures([(6.0 - i, 0.1 + i / 100) for i in range(5)]))
    )
    assert falling[0].verdict == "lower is better"


def test_what_mattered_in_words():
    results = _with_temperatures([(1.0, 0.10), (2.0, 0.12), (3.0, 0.11), (4.0, 0.12), (5.0, 0.10)])
    given = shares(
        train__lr=(0.75, 0.2), **{"strategy[kd]__temperature": (0.25, 0.4)},
        **{"strategy[kd]__alpha": (None, None)},
    )  # fmt: skip
    section = mattered.mattered(view(results, given))
    assert section.sentences[:3] == (
        "Accuracy: 1 of 3 settings told from chance, 20 complete students. train.lr 75% of the "
        "importance, where shuffled outcomes reach 20% in 1 of 20 (told from chance).",
        "T, for who is best by accuracy: kd.temperature 25% of the importance, where shuffled "
        "outcomes reach 40% in 1 of 20 (not told from chance).",
        "alpha, for who is best by accuracy: kd.alpha too few to tell (5 of the 12 students that "
        "it takes).",
    )
    assert section.sentences[3].startswith("Whether more of a setting is better is another")
    assert section.sentences[4].startswith(
        "T between 1 and 5: cannot tell (rank correlation with accuracy among students of like "
        "size +0.00, 95% -0.6"
    )
    assert section.sentences[5:] == (
        "alpha did not vary among enough complete students to say anything of it.",
    )
    assert [[cell.text for cell in row] for row in section.tables[0].rows] == [
        ["accuracy", "train.lr", "75%", "20%", "above chance", "20"],
        ["accuracy", "kd.temperature", "25%", "40%", "not told from chance", "20"],
        ["accuracy", "kd.alpha", "-", "-", "too few", "5"],
    ]


def test_the_words_have_the_numbers_of_the_picture():
    given = shares(train__lr=(0.6, 0.5), **{"strategy[kd]__alpha": (0.4, 0.7)})
    sweep = view(RUN, given)
    said = " ".join(mattered.mattered(sweep).sentences)
    data = importance.gather(sweep)
    assert data.sentences[0][1] in said
    for bar in data.bars:
        assert f"{bar.label} {bar.share:.0f}% of the importance" in said
        assert f"reach {bar.chance:.0f}%" in said


def test_where_no_importance_is_given_the_report_says_why():
    given = {"accuracy": ObjectiveImportance((), 3, "3 have one, and 12 are needed")}
    section = mattered.mattered(view(RUN, given))
    assert section.sentences[0] == "No importance for accuracy: 3 have one, and 12 are needed."
    assert section.numbers["importance_missing"] == {"accuracy": section.sentences[0]}
    assert section.numbers["importance"] == []
    assert mattered.mattered(view(RUN)).sentences[0] == (
        "No importance is given: it was not computed."
    )


def test_failures_by_reason():
    def failed(number, error):
        return student(number, 0.5, 10, status="failed", error=error)

    results = [
        failed(0, "loss is nan at epoch 3"), failed(1, "CUDA out of memory: 1.5 GiB of 80"),
        failed(2, "loss is nan at epoch 17\nand more"), failed(3, None), RUN[0],
    ]  # fmt: skip
    found = failures.reasons(results)
    assert [(each.reason, each.num, each.example) for each in found] == [
        ("loss is nan at epoch #", 2, "t0"),
        ("CUDA out of memory: # GiB of #", 1, "t1"),
        ("no reason is recorded", 1, "t3"),
    ]
    said = failures.failures(view(results)).sentences
    assert said[0] == (
        "4 trials of 5 failed, for 3 reasons. The most frequent (2 of 4): loss is nan at epoch #"
    )
    assert failures.failures(view([RUN[0]])).sentences == ("No trial of 1 failed.",)


def test_what_it_cost_by_hand():
    # Trials of 4 epochs: the one that was pruned after 1 left out 3 of 20 + 3.
    teacher = TeacherMeta(hash="x", seconds=65.0)
    told = view(RUN, student_epochs=20, wall_seconds=3_725.0, cost=1.5, teacher=teacher)
    found = cost.cost_of(told)
    assert (found.num_pruned, found.epochs_saved) == (1, 3)
    assert found.share_saved == pytest.approx(3 / 23)
    assert (found.num_complete, found.mean_seconds, found.deviation_seconds) == (5, 10, 0)
    assert cost.cost(told).sentences == (
        "1h 02m of wall time and 20 epochs of students, 1.50 in money.",
        "1 trial ended at a rung, which left out 3 epochs: 13% of what there would have been.",
        "The teacher took 1m 05s.",
    )


def test_controls_and_teacher_have_their_intervals():
    measured = student(0, 0.9, 10, epochs=(0.11, 0.37, 0.9))
    section = controls(view([RUN[1], measured], teacher=TeacherMeta(hash="x", accuracy=0.98)))
    control, teacher = section.tables[0].rows
    assert [cell.text for cell in control][:4] == ["none", "cnn w8", "10,000", "complete"]
    # Wilson's interval of 90 of 100.
    assert control[5].text == "82.6 to 94.5%"
    assert teacher[4].text == "98.00%"
    assert controls(view([RUN[0]])).sentences == ("This sweep has no controls.",)


def test_how_it_was_made_and_how_to_go_on():
    found = view(RUN, sampler="tpe", seed=3, tracking_uri="http://me:secret@host:5000")
    told = made(found, "runs/my digits").numbers
    assert (told["run"], told["sampler"], told["status"]) == (
        "runs/my digits", "tpe, seed 3", "complete"
    )  # fmt: skip
    assert "secret" not in told["MLflow"]
    told = go_on(found, "runs/my digits")
    commands = told.numbers["commands"]
    assert commands[0] == "kdsweep front 'runs/my digits'"
    assert "kdsweep export 'runs/my digits' t1 --format onnx" in commands
    # Each is told with what it is for, in a sentence.
    assert [each.line for each in told.commands] == commands
    purposes = [each.purpose for each in told.commands]
    assert len(set(purposes)) == len(purposes)
    assert all(words[0].isupper() and words.endswith(".") for words in purposes)
    assert purposes[1].startswith("Choose the most accurate student with at most 10,000 parameters")
    stopped = go_on(view(RUN, status="stopped"), "r").commands
    (resume,) = (each for each in stopped if each.line.startswith("kdsweep resume"))
    assert resume.purpose == "Go on with the sweep where it ended; the trials that it has count."


def test_the_place_of_a_confirmation():
    assert confirmed(None) is None
    table = Table(("student", "sweep", "confirmed"), (cells("kd w8", 0.97, 0.96),))
    section = confirmed(Told((table,), ("It holds.",), ()))
    assert (section.tables, section.sentences) == ((table,), ("It holds.",))


def test_what_was_confirmed_is_the_answer_and_what_the_sweep_says_comes_after():
    told = Told((), (), ("Distillation helped: 00001.",))
    alone, both = in_words(view(RUN)).sentences, in_words(view(RUN), told).sentences
    assert both[0] == "Distillation helped: 00001."
    assert both[1].startswith("That is of fresh seeds and test data, and is the answer.")
    again = [sentence for sentence in alone if "(kdsweep confirm)" in sentence]
    assert len(again) == 1
    assert list(both[2:]) == [sentence for sentence in alone if sentence not in again]
    commands = go_on(view(RUN), "runs/digits", is_confirmed=True).numbers["commands"]
    assert "kdsweep confirm runs/digits --show" in commands


def test_numbers_for_scripts_are_those_that_json_has():
    assert plain({"a": (1, float("nan")), "b": {"c": float("inf")}}) == {
        "a": [1, None], "b": {"c": None}
    }  # fmt: skip
    assert [counted(num, "trial") for num in (0, 1, 2)] == ["no trial", "1 trial", "2 trials"]
