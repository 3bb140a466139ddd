"""Trials that need no sampler: controls, the trial as written, published defaults, no labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kdsweep import catalog
from kdsweep.results.record import Role, TrialResult
from kdsweep.spec.dimension import Label
from kdsweep.sweep_file import Sweep, at, controls


@dataclass(frozen=True)
class Start:
    """A trial to begin with.

    ``params`` is where it lies in the space; ``None`` where it lies outside, so that no sampler
    hears of it, and ``changes`` say how it differs from the sweep's trial.
    """

    role: Role
    changes: dict[str, Any]
    params: Mapping[str, Label] | None

    def gave(self, result: TrialResult) -> bool:
        """Whether a recorded trial is this one."""
        if self.role != result.role:
            return False
        # On a grid a control has no place in the space, wherever it lies.
        if self.params is not None and result.params:
            return dict(self.params) == result.params
        return self.changes == result.changes


def starts(sweep: Sweep) -> list[Start]:
    """The controls, then the sweep's own trial and each strategy at its published defaults.

    At the end those with an ``alpha`` of 0, which learn nothing from the labels: a sampler seldom
    draws the very end of a range. The other end of alpha is the control without distillation. What
    the space does not allow is left out: it is the file that says where to search.
    """
    base = sweep.spec.trial
    wanted: list[tuple[Role, dict[str, Any]]] = [
        ("control", {"strategy": {"name": name}}) for name in controls(base, sweep.info)
    ]
    wanted.append(("trial", {}))
    names = tuple(_strategies(sweep))
    wanted += [("trial", {"strategy": {"name": name}}) for name in names]
    wanted += [
        ("trial", {"strategy": {"name": name, "alpha": 0.0}})
        for name in names
        if "alpha" in catalog.find("strategy", name).Params.model_fields
    ]
    if any(dimension.path == "strategy.alpha" for dimension in sweep.space.dimensions()):
        wanted.append(("trial", {"strategy.alpha": 0.0}))
    found: list[Start] = []
    for role, changes in wanted:
        params = sweep.locate(at(base, changes))
        known = any(start.params == params for start in found if params is not None)
        if role == "control" or (params is not None and not known):
            found.append(Start(role, changes, params))
    return found


def _strategies(sweep: Sweep) -> Iterator[str]:
    """The names of the members of the choice of the whole strategy, each once.

    Of two members of one name the labels are numbered: ``kd#2``.
    """
    labels = (
        label
        for dimension in sweep.space.dimensions()
        if dimension.path == "strategy" and dimension.kind == "choice"
        for label in dimension.labels
        if isinstance(label, str)
    )
    names = dict.fromkeys(label.partition("#")[0] for label in labels)
    yield from (name for name in names if name in catalog.names("strategy"))
