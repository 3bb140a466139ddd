"""What a sweep may spend: epochs are set aside, time and money run."""

import pytest

from kdsweep.results.record import EpochMetrics, TrialResult, epochs_in
from kdsweep.search import budget as budget_module
from kdsweep.search.budget import Budget, Spent
from kdsweep.spec.sweep import BudgetSpec


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [1000.0]
    monkeypatch.setattr(budget_module.time, "monotonic", lambda: now[0])
    return now


def test_without_limits_everything_is_allowed_and_counted(clock):
    budget = Budget(None, cost_per_hour=None)
    assert budget.set_aside(10**9)
    budget.settle(10**9, trained=7)
    clock[0] += 90
    assert budget.used_up is None
    assert budget.spent == Spent(90.0, 7, None)


def test_time_counts_from_the_command_on(clock):
    budget = Budget(BudgetSpec(hours=0.01), cost_per_hour=3600.0, began=clock[0] - 20)
    assert budget.spent == Spent(20.0, 0, 20.0)
    assert budget.used_up is None
    clock[0] += 16
    assert budget.used_up == "the budget of 0.01 h is spent"


def test_epochs_that_are_set_aside_are_not_given_twice():
    budget = Budget(BudgetSpec(epochs=50), cost_per_hour=None)
    assert budget.set_aside(20)
    assert budget.set_aside(20)
    assert not budget.set_aside(20)
    budget.settle(20, trained=5)
    # 5 are spent and 20 set aside: 25 are left.
    assert not budget.set_aside(26)
    assert budget.set_aside(25)
    budget.settle(25, trained=25)
    budget.settle(20, trained=20)
    assert budget.spent.epochs == 50
    assert not budget.set_aside(1)


def test_what_earlier_processes_spent_counts(clock):
    before = Spent(seconds=1800.0, epochs=40)
    budget = Budget(BudgetSpec(epochs=50, hours=1.0), cost_per_hour=2.0, spent=before)
    assert not budget.set_aside(11)
    assert budget.used_up is None
    clock[0] += 1800
    assert budget.used_up == "the budget of 1 h is spent"
    assert budget.spent == Spent(3600.0, 40, 2.0)


def test_money_is_spent_by_the_hour(clock):
    budget = Budget(BudgetSpec(cost=3.0), cost_per_hour=1.5)
    clock[0] += 2 * 3600 - 1
    assert budget.used_up is None
    clock[0] += 1
    assert budget.used_up == "the budget of 3 in money is spent"
    assert budget.spent.cost == pytest.approx(3.0)


def test_what_a_driver_that_died_spent_is_in_the_records_of_its_students():
    epoch = EpochMetrics(epoch=1, accuracy=0.5, loss=1.0, train={}, lr=0.1, seconds=1.0)
    told = (("trial", "running", 3), ("control", "complete", 2), ("teacher", "complete", 9))
    records = [
        TrialResult(
            trial_id=f"{number:05d}", number=number, role=role, status=status, name="", trial={},
            epochs=(epoch,) * num_epochs,
        )
        for number, (role, status, num_epochs) in enumerate(told)
    ]  # fmt: skip
    assert epochs_in(records) == 5
    assert epochs_in([]) == 0
