import numpy as np
import pytest
from run_records import trial_result

from kdsweep.errors import SpecError
from kdsweep.search.importance import importance_of, space_of

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


def test_the_setting_that_decides_has_the_share_of_its_objective_and_no_other():
    found = importance_of(trials(80, by_lr), space_of(FILE), TWO)
    assert set(found) == {"accuracy", "params"}
    assert set(found["accuracy"]) == {"student.width", "train.lr", "strategy", TEMPERATURE}
    assert found["accuracy"]["train.lr"] > 0.8
    assert found["params"]["student.width"] > 0.8
    for shares in found.values():
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0


def test_a_setting_of_one_branch_is_judged_by_the_trials_that_have_it():
    def by_temperature(drawn):
        return 0.5 + (TEMPERATURE in drawn and np.log(drawn[TEMPERATURE]) / 10)

    found = importance_of(trials(80, by_temperature), space_of(FILE), TWO)["accuracy"]
    assert found[TEMPERATURE] > 0.5
    assert max(found["student.width"], found["train.lr"]) < 0.05


def test_what_is_no_more_than_chance_has_no_share():
    random = np.random.default_rng(3)
    found = importance_of(trials(60, lambda drawn: float(random.random())), space_of(FILE), TWO)
    assert found["params"]["student.width"] > 0.8
    # One in twenty settings gets past the shuffles; none of these four does.
    assert "accuracy" not in found


def test_the_same_records_give_the_same_shares():
    records, space = trials(40, by_lr), space_of(FILE)
    assert importance_of(records, space, TWO) == importance_of(list(records), space, TWO)


def test_few_students_say_nothing():
    records = trials(11, by_lr)
    assert importance_of(records, space_of(FILE), TWO) is None
    assert importance_of([], space_of(FILE), TWO) is None
    # Those that failed, were pruned, are teachers or have no number do not count.
    others = [
        *trials(9, by_lr, status="failed"), *trials(9, by_lr, status="pruned"),
        *trials(9, by_lr, role="teacher"), *trials(9, lambda drawn: float("nan")),
    ]  # fmt: skip
    assert importance_of([*records, *others], space_of(FILE), TWO) is None


def test_a_setting_that_few_students_have_has_no_share():
    records = trials(80, by_lr)
    rare = [r for r in records if TEMPERATURE in r.params][:5]
    others = [r for r in records if TEMPERATURE not in r.params]
    found = importance_of([*others, *rare], space_of(FILE), TWO)
    assert found["accuracy"][TEMPERATURE] == 0


def test_values_of_another_space_are_left_out():
    records = trials(40, by_lr)
    other = FILE.replace("[2, 4, 8]", "[3, 5]").replace("train.lr", "train.momentum")
    found = importance_of(records, space_of(other), TWO)
    assert found is None or all("student.width" not in shares for shares in found.values())


def test_a_space_is_read_without_what_the_file_names():
    assert [d.name for d in space_of(FILE).dimensions()] == [
        "student.width", "train.lr", "strategy", TEMPERATURE
    ]  # fmt: skip
    with pytest.raises(SpecError, match="space: 'all' is not a mapping"):
        space_of("space: all")
    with pytest.raises(SpecError, match="must be a mapping"):
        space_of("- a list")
