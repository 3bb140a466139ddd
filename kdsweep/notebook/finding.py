"""A trial by what one has of it at hand: its number, its id, a row of a table, a choice."""

import operator
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.notebook.given import short
from kdsweep.results.record import TrialResult


def find_trial(results: Sequence[TrialResult], given: Any, *, source: str) -> TrialResult:
    """The record of the trial that ``given`` names.

    A whole number is that of a trial, a text its id (a teacher's too). Anything else must have a
    ``trial_id``, as rows of ``trials`` and ``front``, records and choices do.

    Raises:
        ResultError: there is no such trial, or ``given`` names none.
    """
    number = _whole(given)
    if number is not None:
        found = [each for each in results if each.number == number and each.role != "teacher"]
        if not found:
            raise ResultError(_no_number(results, number), source=source)
        return found[0]
    trial_id = given if isinstance(given, str) else _id_of(given)
    if trial_id is None:
        raise ResultError(
            f"{short(given)} names no trial: give its number, its id, a row of `trials` or "
            "`front` (as `front.iloc[0]`), or what `select` chose",
            source=source,
        )
    for result in results:
        if result.trial_id == trial_id:
            return result
    raise ResultError(_no_id(results, trial_id), source=source)


def _whole(given: Any) -> int | None:
    """The number, of Python or of NumPy; ``True`` is none."""
    if isinstance(given, bool):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None


def _id_of(given: Any) -> str | None:
    try:
        found = given["trial_id"] if isinstance(given, dict) else given.trial_id
    except (AttributeError, KeyError):
        return None
    return found if isinstance(found, str) else None


def _no_number(results: Sequence[TrialResult], number: int) -> str:
    numbers = [each.number for each in results if each.role != "teacher"]
    if not numbers:
        return f"there is no trial {number}: no trial has a record yet"
    have = f"{min(numbers)} to {max(numbers)}" if len(numbers) > 1 else str(numbers[0])
    return f"there is no trial {number} (have: {have})"


def _no_id(results: Sequence[TrialResult], trial_id: str) -> str:
    ids = [each.trial_id for each in results]
    if not ids:
        return f"there is no trial {trial_id!r}: no trial has a record yet"
    close = get_close_matches(trial_id, ids, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"there is no trial {trial_id!r}{hint} (ids are as {ids[0]!r}, numbers go without quotes)"
    )
