"""Optuna's TPE with the work that it repeats in an ask done once; its proposals are the same.

In a space with branches Optuna models each group of dimensions by itself. For every group it lists
and ranks all trials anew, though list and ranking are the same; it reads what all trials have drawn
and whether they broke a bound, though of a trial that has ended both are the same in each ask; and
to find the groups it walks over the spaces of all trials, though only those of the new ones can
change anything. With 1,000 trials and seven groups that was more than half of an ask. All this is
internal to Optuna: a test holds the proposals against those of its own sampler.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.search_space import group_decomposed
from optuna.trial import FrozenTrial, TrialState

_Trials = list[FrozenTrial]
_Split = Callable[[_Trials, int], tuple[_Trials, _Trials]]
_Kind = Literal["complete", "pruned", "out of bounds", "running"]


class _Half:
    """The better or the worse of the trials, in the order of their numbers ``[N]``."""

    def __init__(self, trials: _Trials) -> None:
        self.trials = sorted(trials, key=lambda trial: trial.number)
        self.numbers = np.fromiter(
            (trial.number for trial in self.trials), dtype=np.intp, count=len(trials)
        )


class _Halves:
    """Splits the trials of a study into better and worse."""

    def __init__(self) -> None:
        self._ended: dict[int, _Kind] = {}

    def of(self, study: Study, asking: FrozenTrial) -> tuple[_Half, _Half]:
        """As Optuna does for each group: all but the trial that asks, those that failed apart."""
        by_kind: dict[_Kind, _Trials] = {
            "complete": [], "pruned": [], "out of bounds": [], "running": []
        }  # fmt: skip
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        for trial in study._get_trials(deepcopy=False, states=states, use_cache=False):
            if trial.number != asking.number:
                by_kind[self._ended.get(trial.number) or self._kind(trial)].append(trial)
        num_ended = sum(len(trials) for kind, trials in by_kind.items() if kind != "running")
        several = study._is_multi_objective()
        gamma = tpe.default_gamma_multiobjective if several else tpe.default_gamma
        most: int = gamma(num_ended)
        better: _Trials = []
        worse = by_kind["running"]
        in_turn: tuple[tuple[_Kind, _Split], ...] = (
            ("complete", lambda trials, num: tpe._split_complete_trials(trials, study, num)),
            ("pruned", lambda trials, num: tpe._split_pruned_trials(trials, study, num)),
            ("out of bounds", tpe._split_infeasible_trials),
        )
        for kind, split in in_turn:
            good, bad = split(by_kind[kind], max(0, most - len(better)))
            better, worse = better + good, worse + bad
        return _Half(better), _Half(worse)

    def _kind(self, trial: FrozenTrial) -> _Kind:
        if trial.state == TrialState.RUNNING:
            return "running"
        kind: _Kind = "complete" if trial.state == TrialState.COMPLETE else "pruned"
        if any(value > 0 for value in trial.constraints.values()):
            kind = "out of bounds"
        self._ended[trial.number] = kind
        return kind


class _Groups(group_decomposed._GroupDecomposedSearchSpace):  # type: ignore[misc]
    """The groups of dimensions that were drawn together, of which new trials are told once."""

    def __init__(self) -> None:
        super().__init__(include_pruned=True)
        self._known: set[int] = set()

    def calculate(self, study: Study, use_cache: bool = False) -> Any:
        """As Optuna's own: to split the groups by a trial's space a second time changes nothing."""
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        for trial in study._get_trials(deepcopy=False, states=states, use_cache=use_cache):
            if trial.number not in self._known:
                self._known.add(trial.number)
                self._search_space.add_distributions(trial.distributions)
        return copy.deepcopy(self._search_space)


class _Drawn:
    """What trials have drawn of one group of dimensions, as Optuna models it.

    Of a trial that has ended it is asked once.
    """

    def __init__(self, space: dict[str, BaseDistribution]) -> None:
        self._space = space
        # By number of the trial; NaN where it has not drawn of these, or nobody knows yet.
        self._rows, self._is_known = np.empty((0, len(space))), np.empty(0, dtype=bool)

    def of(
        self,
        trials: Sequence[FrozenTrial],
        numbers: NDArray[np.intp],
        params_of: Callable[[FrozenTrial], dict[str, Any]],
    ) -> dict[str, NDArray[Any]]:
        """The values ``[N]`` of each dimension, of those of the trials that drew all of them."""
        self._make_room(numbers.max(initial=-1) + 1)
        for place in map(int, np.flatnonzero(~self._is_known[numbers])):
            self._put(trials[place], params_of(trials[place]))
        rows = self._rows[numbers]
        rows = rows[~np.isnan(rows).any(axis=1)]
        return {
            # Optuna's choices are whole numbers.
            name: rows[:, i].astype(np.intp if type(each) is CategoricalDistribution else float)
            for i, (name, each) in enumerate(self._space.items())
        }

    def _make_room(self, num: int) -> None:
        have = len(self._rows)
        if num > have:
            more = (num + have, len(self._space))
            self._rows = np.concatenate([self._rows, np.full(more, np.nan)])
            self._is_known = np.concatenate([self._is_known, np.zeros(more[0], dtype=bool)])

    def _put(self, trial: FrozenTrial, params: dict[str, Any]) -> None:
        # One that runs was drawn of all groups; which of them it takes shows in the end.
        all_of_them = self._space.keys() <= params.keys()
        self._rows[trial.number] = [
            each.to_internal_repr(params[name]) if all_of_them else np.nan
            for name, each in self._space.items()
        ]
        self._is_known[trial.number] = trial.state.is_finished()


class GroupedTpe(TPESampler):  # type: ignore[misc]
    """Multivariate TPE of one study, group by group."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._group_decomposed_search_space = _Groups()
        self._drawn: dict[tuple[str, ...], _Drawn] = {}
        self._halves = _Halves()
        # While an ask lasts no trial begins or ends.
        self._of_this_ask: tuple[_Half, _Half] | None = None

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's own."""
        self._of_this_ask = self._halves.of(study, trial)
        try:
            drawn: dict[str, Any] = super().sample_relative(study, trial, search_space)
        finally:
            self._of_this_ask = None
        return drawn

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The likelier among the better of some draws from a model of the better trials."""
        better, worse = (
            self._model(study, search_space, half, handle_below=is_better)
            for half, is_better in zip(
                self._of_this_ask or self._halves.of(study, trial), (True, False), strict=True
            )
        )
        draws = better.sample(self._rng.rng, self._n_ei_candidates)
        gains = self._compute_acquisition_func(draws, better, worse)
        best = TPESampler._compare(draws, gains)
        return {name: each.to_external_repr(best[name]) for name, each in search_space.items()}

    def _model(
        self,
        study: Study,
        search_space: dict[str, BaseDistribution],
        half: _Half,
        *,
        handle_below: bool,
    ) -> Any:
        self._modelled = half
        return self._build_parzen_estimator(
            study, search_space, half.trials, handle_below=handle_below
        )

    def _get_internal_repr(
        self, trials: _Trials, search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[Any]]:
        """As Optuna's own, of the half that is being modelled."""
        group = tuple(search_space)
        if group not in self._drawn:
            self._drawn[group] = _Drawn(search_space)
        numbers = self._modelled.numbers
        return self._drawn[group].of(trials, numbers, lambda each: self._get_params(each, study))
