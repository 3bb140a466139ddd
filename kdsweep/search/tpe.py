"""Optuna's TPE with the work that it repeats in an ask done once; its proposals are the same.

In a space with branches Optuna models each group of dimensions by itself. For every group it ranks
all trials anew, though the ranking is the same, and to find the groups it walks over the spaces of
all trials, though only those of the new ones can change anything. With 1,000 trials and seven
groups that was more than half of an ask. Both are internal to Optuna: a test holds the proposals
against those of its own sampler.
"""

import copy
from collections.abc import Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
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
        self._of: tuple[int, int] | None = None
        self._halves: _Halves = ([], [])

    def __enter__(self) -> None:
        self._is_open, self._of = True, None

    def __exit__(self, *error: object) -> None:
        self._is_open, self._halves = False, ([], [])

    def __call__(self, study: Study, trials: Sequence[FrozenTrial], n_below: int) -> _Halves:
        """As Optuna's own; within an ask no trial begins or ends."""
        if not self._is_open:
            return _split(study, trials, n_below)  # type: ignore[no-any-return]
        if self._of != (len(trials), n_below):
            self._of, self._halves = (len(trials), n_below), _split(study, trials, n_below)
        return self._halves


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


class GroupedTpe(TPESampler):  # type: ignore[misc]
    """Multivariate TPE of one study, group by group."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._group_decomposed_search_space = _Groups()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's own."""
        with _one_ask:
            drawn: dict[str, Any] = super().sample_relative(study, trial, search_space)
        return drawn


# Only the driver's thread asks.
_one_ask = _OneAsk()
tpe._split_trials = _one_ask
