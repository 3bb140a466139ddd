"""The order in which Tune runs what was proposed."""

import inspect
from types import SimpleNamespace

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from kdsweep.search.in_order import InOrder


def trials(*statuses):
    return [
        SimpleNamespace(trial_id=f"ab_{number:05d}", status=status)
        for number, status in enumerate(statuses)
    ]


def chosen(scheduler, everyone):
    live = {trial.trial_id: trial for trial in everyone if trial.status != Trial.TERMINATED}
    controller = SimpleNamespace(
        # Tune keeps those that have not ended in a set.
        get_live_trials=lambda: reversed(live.values()),
        get_trials=lambda: everyone,
    )
    return scheduler.choose_trial_to_run(controller)


def test_the_earliest_that_waits_is_chosen_as_by_tunes_own():
    ended, runs, waits = Trial.TERMINATED, Trial.RUNNING, Trial.PENDING
    for everyone in (
        trials(),
        trials(ended, runs),
        trials(ended, runs, waits, ended, waits),
        trials(waits, waits, runs),
    ):
        assert chosen(InOrder(), everyone) is chosen(FIFOScheduler(), everyone)
    assert chosen(InOrder(), trials(ended, runs, waits, waits)).trial_id == "ab_00002"


def test_tune_gives_its_scheduler_the_trials_that_have_not_ended():
    assert '"get_live_trials"' in inspect.getsource(TuneController._wrapped)
