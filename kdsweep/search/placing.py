"""Where trials of an earlier sweep lie in the space of a new one, or why they do not."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from kdsweep.report.labels import flatten, value_words
from kdsweep.results.record import TrialResult
from kdsweep.spec import Label, Space
from kdsweep.spec.dimension import same
from kdsweep.spec.together import paths_of
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.sweep_file import Sweep, defaults, resolved

_NOT_OF_RESULTS = ("stored", "max_cache_bytes")
"""Of a teacher: where its outputs are read from, which changes them in the fourth digit."""

_LONGEST = 40
"""Characters of a value in a reason."""


class Placing:
    """Puts trials of one earlier run, whose records are given, into the space of a sweep."""

    def __init__(self, sweep: Sweep, records: Sequence[TrialResult]) -> None:
        self._space = sweep.space
        self._base = resolved(sweep.spec.trial)
        self._flat = flatten(self._base)
        self._varied = [path for name, node in sweep.space.entries for path in paths_of(name, node)]
        # The run's own teacher is told by its hash, which says more than where its weights lie;
        # controls learn from no other.
        own = next((each for each in records if each.role == "control"), None)
        self._their_teacher = None if own is None else own.trial.get(MAIN_TEACHER)
        self._values: dict[str, dict[str, None]] = {}

    def placed(self, result: TrialResult) -> TrialResult | str:
        """What is kept of a trial that could be one of the sweep's, at its point of the space.

        Else why it could be none: the first path at which a setting that the space does not vary is
        another one, or what the space says of its entries; ``in_words`` is for people.
        """
        trial = self._as_ours(result.trial)
        theirs = flatten(trial)
        for path in dict.fromkeys((*self._flat, *theirs)):
            here, there = self._flat.get(path), theirs.get(path)
            if not self._is_varied(path) and not _same_setting(path, here, there):
                self._values.setdefault(path, {})[_shown(there)] = None
                return path
        params = self._space.locate(trial, defaults=_below_the_trial)
        if params is not None:
            return _slim(result, params, self._space.at(params).changes)
        outside = [
            name
            for name, node in self._space.entries
            if Space(((name, node),)).locate(trial, defaults=_below_the_trial) is None
        ]
        return f"outside of the space in {', '.join(outside)}"

    def in_words(self, reason: str) -> str:
        """``with another train.epochs (20, here 40)``: a reason, once all trials were asked."""
        if reason not in self._values:
            return reason
        there = list(self._values[reason])
        values = f"{there[0]}, here" if len(there) == 1 else "here"
        return f"with another {reason} ({values} {_shown(self._flat.get(reason))})"

    def _as_ours(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A resolved trial, with our values where others lead to the same results."""
        trial: dict[str, Any] = {**defaults("", raw)}
        if not self._is_varied("seed"):
            # Replicates differ in it as well, and are held to be of one point.
            trial["seed"] = self._base["seed"]
        theirs, ours = trial.get(MAIN_TEACHER), self._base.get(MAIN_TEACHER)
        if theirs and ours:
            is_their_own = same(theirs, self._their_teacher)
            trial[MAIN_TEACHER] = ours if is_their_own else _read_alike(theirs, ours)
        others = self._base["teachers"]
        trial["teachers"] = {
            name: _read_alike(each, others[name]) if name in others else each
            for name, each in (trial.get("teachers") or {}).items()
        }
        return trial

    def _is_varied(self, path: str) -> bool:
        return any(path == each or path.startswith(f"{each}.") for each in self._varied)


def _below_the_trial(path: str, value: Any) -> Any:
    """As ``defaults``, of a trial whose own are written out already."""
    return defaults(path, value) if path else value


def _read_alike(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {**theirs, **{key: ours[key] for key in _NOT_OF_RESULTS}}


def _same_setting(path: str, here: Any, there: Any) -> bool:
    """Files of data may lie elsewhere: the fingerprint says whether they are the same."""
    if path.startswith("data.") and _is_place(here) and _is_place(there):
        return True
    return same(here, there)


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and PurePath(value).is_absolute()


def _shown(value: Any) -> str:
    said = "none" if value is None else value_words(value)
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."


def _slim(
    result: TrialResult, params: Mapping[str, Label], changes: Mapping[str, Any]
) -> TrialResult:
    """A record for a sampler: without settings, and of epochs the last."""
    return TrialResult(
        trial_id=result.trial_id,
        number=result.number,
        role=result.role,
        status=result.status,
        name=result.name,
        trial={},
        changes=dict(changes),
        params=dict(params),
        metrics=result.metrics,
        epochs=result.epochs[-1:],
        error=result.error,
        device=result.device,
    )
