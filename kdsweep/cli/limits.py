"""What ``kdsweep extend`` adds to the limits of a sweep."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kdsweep.cli.early import said_in

if TYPE_CHECKING:
    from kdsweep.results.store import RunStore
    from kdsweep.spec import SearchSpec
    from kdsweep.sweep_file import Sweep


def refuse_early(store: "RunStore", more: dict[str, float]) -> None:
    """What cannot be added is told before the whole file is checked, which takes a while."""
    from pydantic import ValidationError

    from kdsweep.results.names import SWEEP_FILE
    from kdsweep.spec import SearchSpec

    with suppress(ValidationError):  # said better when the file is loaded
        search = SearchSpec.model_validate(said_in(store.sweep_text).get("search") or {})
        _raised(search, more, store.directory / SWEEP_FILE)


def extended(sweep: "Sweep", more: dict[str, float]) -> "Sweep":
    """The sweep with higher limits.

    Raises:
        SpecError: it has no such limit.
    """
    search = _raised(sweep.spec.search, more, sweep.path)
    return replace(sweep, spec=sweep.spec.model_copy(update={"search": search}))


def _raised(search: "SearchSpec", more: dict[str, float], path: Path) -> "SearchSpec":
    from pydantic import ValidationError

    from kdsweep.errors import SpecError
    from kdsweep.spec.problems import sentences
    from kdsweep.spec.sweep import BudgetSpec

    limits = dict(search.budget.model_dump()) if search.budget is not None else {}
    for name, value in more.items():
        if name == "trials":
            if not search.has_most_trials:
                raise SpecError(
                    "--trials: the sweep has no limit of trials, its budget ends it; raise that "
                    "with --hours, --epochs or --cost",
                    source=path,
                )
            search = search.model_copy(update={"trials": search.trials + int(value)})
        elif limits.get(name) is None:
            raise SpecError(
                f"--{name}: the sweep has no budget of {name}; give what limits it: "
                f"{', '.join(_limits_of(search))}",
                source=path,
            )
        else:
            limits[name] += int(value) if name == "epochs" else value
    if not limits:
        return search
    try:
        budget = BudgetSpec.model_validate(limits)
    except ValidationError as error:
        raise SpecError(sentences(error, BudgetSpec, at="search.budget"), source=path) from None
    return search.model_copy(update={"budget": budget})


def _limits_of(search: "SearchSpec") -> list[str]:
    budget = {} if search.budget is None else search.budget.model_dump(exclude_none=True)
    return [f"--{name}" for name in (*(["trials"] if search.has_most_trials else []), *budget)]
