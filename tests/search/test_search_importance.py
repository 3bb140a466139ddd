import numpy as np
import pytest
from run_records import trial_result

from kdsweep.errors import SpecError
from kdsweep.report.importance import importance_rows, missing_words
from kdsweep.search.importance import importance_of
from kdsweep.sweep_file.space import space_of

TWO = {"accuracy": "max", "params": "min"}
FILE = """
name: digits
trial: {data: {name: nowhere.to.be:Found}}
space:
  student.width: {choice: [2, 4, 8]}
  train.lr: {loguniform: [1.0e-4, 1.0e-1]}
  strategy:
    choice:
      - {name: none}
      - {name: kd, temperature: {loguniform: [1, 20]}}
"""
TEMPERATURE = "strategy[kd].temperature"


def trials(num, accuracy, *, seed=0, **more):
    """Points drawn at random; ``accuracy`` is a function of what was drawn."""
    random, found = np.random.default_rng(seed), []
    for number in range(num):
        drawn = {
            "student.width": int(random.choice([2, 4, 8])),
            "train.lr": float(10 ** random.uniform(-4, -1)),
            "strategy": str(random.choice(["none", "kd"])),
        }
        if drawn["strategy"] == "kd":
            drawn[TEMPERATURE] = float(20 ** random.uniform(0, 1))
        metrics = {"accuracy": accuracy(drawn), "params": 100.0 * drawn["student.width"]}
        found.append(trial_result(number, params=drawn, metrics=metrics, **more))
    return found


def by_lr(drawn):
    return 0.9 - abs(np.log10(drawn["train.lr"]) + 2) / 10


def shares(found, objective="accuracy"):
    return {each.setting: each for each in found[objective].settings}


def test_every_setting_has_its_share_beside_chance_and_the_one_that_decides_is_above():
    found = importance_of(trials(80, by_lr), space_of(FILE), TWO)
    # The number of parameters follows from the width: nobody need search for that.
    assert set(found) == {"accuracy"}
    each = shares(found)
    assert set(each) == {"student.width", "train.lr", "strategy", TEMPERATURE}
    assert sum(one.share for one in each.values()) == pytest.approx(1)
    ordered = [one.share for one in found["accuracy"].settings]
    assert ordered == sorted(ordered, reverse=True)
    assert [one.setting for one in found["accuracy"].above_chance] == ["train.lr"]
    assert each["train.lr"].share > 0.8 > each["train.lr"].chance > 0
    assert all(one.share <= one.chance for name, one in each.items() if name != "train.lr")
    assert (found["accuracy"].students, each["train.lr"].students) == (80, 80)
    assert missing_words(found) == {}


def test_the_level_of_chance_is_reached_by_one_of_twenty_settings_that_do_nothing():
    """Outcomes that nothing decides: about 1 of 20 settings is above, in 25 sweeps of three."""
    num, above = 0, 0
    for seed in range(25):
        random = np.random.default_rng(1000 + seed)
        records = trials(40, lambda drawn, r=random: float(r.random()), seed=seed)
        found = importance_of(records, space_of(FILE), TWO)["accuracy"]
        told = [each for each in found.settings if each.setting != TEMPERATURE]
        num, above = num + len(told), above + sum(each.above_chance for each in told)
    assert num == 75
    # Of 75 with a chance of 0.05 more than 11 are found once in two thousand times.
    assert above <= 11


def test_a_setting_of_one_branch_is_judged_by_the_trials_that_have_it():
    def by_temperature(drawn):
        return 0.5 + (TEMPERATURE in drawn and np.log(drawn[TEMPERATURE]) / 10)

    found = importance_of(trials(80, by_temperature), space_of(FILE), TWO)
    each = shares(found)
    assert each[TEMPERATURE].share > 0.5
    assert each[TEMPERATURE].above_chance
    assert max(each["student.width"].share, each["train.lr"].share) < 0.05


def test_what_is_no_more_than_chance_is_shown_and_told_as_such():
    random = np.random.default_rng(3)
    found = importance_of(trials(60, lambda drawn: float(random.random())), space_of(FILE), TWO)
    # One in twenty settings gets past the shuffles; none of these four does.
    assert found["accuracy"].above_chance == ()
    assert len(found["accuracy"].settings) == 4
    assert all(0 <= each.share <= each.chance for each in found["accuracy"].settings)


def test_the_temperatures_of_two_branches_of_one_name_are_one_setting():
    text = FILE.replace(
        "      - {name: none}",
        "      - {name: kd, temperature: {loguniform: [1, 20]}, extra: {fitnet: {weight: 1.0}}}",
    )
    assert "strategy[kd#2].temperature" in [d.name for d in space_of(text).dimensions()]
    records = []
    for number, result in enumerate(trials(40, by_lr)):
        branch = f"kd#{1 + number % 2}"
        drawn = {**result.params, "strategy": branch}
        drawn.pop(TEMPERATURE, None)
        drawn[f"strategy[{branch}].temperature"] = 2.0 + number % 9
        records.append(result.model_copy(update={"params": drawn}))
    each = shares(importance_of(records, space_of(text), TWO))
    assert set(each) == {"student.width", "train.lr", "strategy", TEMPERATURE}
    assert each[TEMPERATURE].students == 40


def test_a_sweep_for_sizes_alone_is_asked_about_accuracy():
    only = {"params": "min", "latency_ms": "min"}
    found = importance_of(trials(80, by_lr), space_of(FILE), only)
    assert [one.setting for one in found["accuracy"].above_chance] == ["train.lr"]
    losses = [
        r.model_copy(update={"metrics": {**r.metrics, "loss": 1 - r.metrics["accuracy"]}})
        for r in trials(80, by_lr)
    ]
    both = importance_of(losses, space_of(FILE), {"accuracy": "max", "loss": "min"})
    assert list(both) == ["accuracy", "loss"]
    assert both["accuracy"] == both["loss"]


def test_the_same_records_give_the_same_shares():
    records, space = trials(40, by_lr), space_of(FILE)
    assert importance_of(records, space, TWO) == importance_of(list(records), space, TWO)


def why(records, text=FILE):
    found = importance_of(records, space_of(text), TWO)
    assert importance_rows(found) == []
    return missing_words(found)["accuracy"]


def test_where_nothing_can_be_told_it_says_why():
    records = trials(11, by_lr)
    # Those that failed, were pruned, are teachers or have no number do not count.
    others = [
        *trials(9, by_lr, status="failed"), *trials(9, by_lr, status="pruned"),
        *trials(9, by_lr, role="teacher"), *trials(9, lambda drawn: float("nan")),
    ]  # fmt: skip
    for few in (records, [*records, *others]):
        assert why(few) == (
            "No importance for accuracy: there are 11 complete trials, and 12 are needed."
        )
    assert "there are 0 complete trials" in why([])
    assert why(trials(20, lambda drawn: 0.25)) == (
        "No importance for accuracy: all 20 complete students have the same value (0.25)."
    )
    assert why(records, "space: {}") == ("No importance for accuracy: the sweep varies no setting.")
    alone = "space: {student.width: {choice: [2, 4, 8]}}"
    same = [r.model_copy(update={"params": {"student.width": 2}}) for r in trials(20, by_lr)]
    assert why(same, alone) == (
        "No importance for accuracy: no setting that 12 of the 20 complete students have varies."
    )


def test_a_setting_that_is_the_same_in_all_makes_no_difference():
    records = [
        r.model_copy(update={"params": {**r.params, "student.width": 2}}) for r in trials(40, by_lr)
    ]
    each = shares(importance_of(records, space_of(FILE), TWO))
    assert (each["student.width"].share, each["student.width"].chance) == (0, 0)
    assert not each["student.width"].above_chance
    assert each["train.lr"].above_chance


def test_a_setting_that_few_students_have_has_no_share_and_is_last():
    records = trials(80, by_lr)
    rare = [r for r in records if TEMPERATURE in r.params][:5]
    others = [r for r in records if TEMPERATURE not in r.params]
    found = importance_of([*others, *rare], space_of(FILE), TWO)
    last = found["accuracy"].settings[-1]
    assert (last.setting, last.share, last.chance, last.students) == (TEMPERATURE, None, None, 5)
    assert not last.above_chance
    row = importance_rows(found)[-1]
    assert row == {
        "objective": "accuracy", "setting": TEMPERATURE, "share": None, "chance": None,
        "above_chance": False, "students": 5,
    }  # fmt: skip


def test_values_of_another_space_are_left_out():
    records = trials(40, by_lr)
    other = FILE.replace("[2, 4, 8]", "[3, 5]").replace("train.lr", "train.momentum")
    each = shares(importance_of(records, space_of(other), TWO))
    assert (each["student.width"].share, each["student.width"].students) == (None, 0)


def test_a_space_is_read_without_what_the_file_names():
    assert [d.name for d in space_of(FILE).dimensions()] == [
        "student.width", "train.lr", "strategy", TEMPERATURE
    ]  # fmt: skip
    with pytest.raises(SpecError, match="space: 'all' is not a mapping"):
        space_of("space: all")
    with pytest.raises(SpecError, match="must be a mapping"):
        space_of("- a list")
