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


def test_what_tune_keeps_of_reports_is_given_up_when_the_searcher_has_been_told():
    def reported():
        trial = Trial("any", stub=True)
        trial.update_last_result({"training_iteration": 1, "accuracy": 0.9})
        return trial

    scheduler, first, second = InOrder(), reported(), reported()
    scheduler.on_trial_complete(None, first, {})
    # Tune reads it once more for the searcher.
    assert first.last_result["accuracy"] == 0.9
    assert first.metric_analysis
    scheduler.on_trial_complete(None, second, {})
    kept = first.run_metadata
    assert kept.last_result == kept.metric_analysis == kept.metric_n_steps == {}
    assert second.last_result["accuracy"] == 0.9
