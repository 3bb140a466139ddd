"""Optuna's TPE with the work that it repeats in an ask done once; its proposals are the same.

In a space with branches Optuna models each group of dimensions by itself. For every group it ranks
all trials anew, though the ranking is the same, and reads what all trials have drawn, though of a
trial that has ended it is the same in each ask; and to find the groups it walks over the spaces of
all trials, though only those of the new ones can change anything. With 1,000 trials and seven
groups that was more than half of an ask. All this is internal to Optuna: a test holds the proposals
against those of its own sampler.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.search_space import group_decomposed
from optuna.trial import FrozenTrial, TrialState

_Halves = tuple[list[FrozenTrial], list[FrozenTrial]]
_split = tpe._split_trials


class _OneAsk:
    """The split of the trials into better and worse, for as long as an ask lasts."""

    def __init__(self) -> None:
        self._is_open = False
        self._forget()

    def _forget(self) -> None:
        self._of: tuple[int, int] | None = None
        self._halves: _Halves = ([], [])
        self._numbers: list[tuple[list[FrozenTrial], NDArray[np.intp]]] = []

    def __enter__(self) -> None:
        self._is_open = True

    def __exit__(self, *error: object) -> None:
        self._is_open = False
        self._forget()

    def __call__(self, study: Study, trials: Sequence[FrozenTrial], n_below: int) -> _Halves:
        """As Optuna's own; within an ask no trial begins or ends."""
        if not self._is_open:
            return _split(study, trials, n_below)  # type: ignore[no-any-return]
        if self._of != (len(trials), n_below):
            self._of, self._halves = (len(trials), n_below), _split(study, trials, n_below)
            self._numbers = [(half, _numbers(half)) for half in self._halves]
        return self._halves

    def numbers(self, trials: list[FrozenTrial]) -> NDArray[np.intp]:
        """The numbers ``[N]`` of one half of the trials."""
        known = (numbers for half, numbers in self._numbers if half is trials)
        found = next(known, None)
        return _numbers(trials) if found is None else found


def _numbers(trials: Sequence[FrozenTrial]) -> NDArray[np.intp]:
    return np.fromiter((trial.number for trial in trials), dtype=np.intp, count=len(trials))


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

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's own."""
        with _one_ask:
            drawn: dict[str, Any] = super().sample_relative(study, trial, search_space)
        return drawn

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[Any]]:
        """As Optuna's own."""
        group = tuple(search_space)
        if group not in self._drawn:
            self._drawn[group] = _Drawn(search_space)
        numbers = _one_ask.numbers(trials)
        return self._drawn[group].of(trials, numbers, lambda each: self._get_params(each, study))


# Only the driver's thread asks.
_one_ask = _OneAsk()
tpe._split_trials = _one_ask
