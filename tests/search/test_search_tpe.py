"""TPE that repeats less proposes what Optuna's own does."""

import math

import optuna
import pytest
from optuna.samplers._tpe import sampler as tpe

from kdsweep.search.tpe import GroupedTpe


def objectives(trial):
    """Branches within branches, so that there are several groups of dimensions."""
    width = trial.suggest_categorical("width", [2, 4, 8, 16])
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    error = 0.5 / width + 0.1 * abs(math.log10(lr) + 2.5)
    kind = trial.suggest_categorical("kind", ["none", "kd", "fitnet"])
    if kind == "kd":
        error += 0.01 * trial.suggest_float("temperature", 1, 20)
        if trial.suggest_categorical("extra", [True, False]):
            error += 0.02 * trial.suggest_float("weight", 0.01, 10, log=True)
    elif kind == "fitnet":
        error += 0.03 * trial.suggest_int("layers", 1, 3)
    return error, width**2


def proposed(sampler, *, num_trials=60, in_flight=3, num_objectives=2):
    """The trials of a study in which some are always running, some fail and some break a bound."""
    study = optuna.create_study(directions=["minimize"] * num_objectives, sampler=sampler)
    running = []
    for number in range(num_trials):
        trial = study.ask()
        running.append((trial, objectives(trial)))
        if len(running) < in_flight:
            continue
        ended, values = running.pop(number % in_flight)
        if ended.number % 11 == 5:
            study.tell(ended, state=optuna.trial.TrialState.FAIL)
            continue
        ended.set_constraint("width.max", ended.params["width"] - 8)
        study.tell(ended, values[:num_objectives])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize(("seed", "num_objectives"), [(0, 2), (7, 2), (0, 1)])
def test_the_proposals_are_those_of_optuna(seed, num_objectives):
    settings = {"multivariate": True, "group": True, "constant_liar": True}
    own = optuna.samplers.TPESampler(seed=seed, **settings)
    found = proposed(GroupedTpe(seed=seed), num_objectives=num_objectives)
    assert found == proposed(own, num_objectives=num_objectives)
    assert len({params["kind"] for params in found}) == 3


def test_all_groups_of_an_ask_share_one_ranking(monkeypatch):
    ranked = []
    split = tpe._split_complete_trials
    monkeypatch.setattr(
        tpe, "_split_complete_trials", lambda *given: ranked.append(1) or split(*given)
    )
    num_trials = 40
    proposed(GroupedTpe(seed=0), num_trials=num_trials)
    once = len(ranked)
    settings = {"multivariate": True, "group": True, "constant_liar": True}
    proposed(optuna.samplers.TPESampler(seed=0, **settings), num_trials=num_trials)
    assert len(ranked) - once > 2 * once
    # What a group did not draw is drawn by itself, and ranked by itself.
    assert once < 2 * num_trials
