"""The experiment of the sweeps, as MLflow's UI shows it to somebody who has set nothing up.

Of itself the UI shows a run's name, its source and when it began. Which columns it shows, of which
runs and in which order is a *view*; views that are kept as tags of the experiment are in its menu
of views for everybody, and can be named in an address. (The tags are those that the UI of
MLflow 3.17 writes for "Save as new view".) The menu on the left, of models to train or of language
models, is by the address too, else by the browser's storage; no tag of an experiment decides it.
"""

import hashlib
import json
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.tracking.entities import NOTE, ON_FRONT
from kdsweep.tracking.where import artifact_location

_VIEW = "mlflow.sharedViewState."
FIRST_VIEW, TRIALS, FRONTS = "kdsweep-sweeps", "kdsweep-trials", "kdsweep-fronts"
"""The view that ``kdsweep ui`` opens; and those of all trials and of all fronts."""
CONTROLS, CONFIRMED = "kdsweep-controls", "kdsweep-confirmed"
TITLES = {
    FIRST_VIEW: "Sweeps and their trials",
    TRIALS: "Trials, most accurate first",
    FRONTS: "Students on the fronts",
    CONTROLS: "Controls and teachers",
    CONFIRMED: "Confirmed on test data",
}
"""Of the views, in the order of the UI's menu."""
_COLUMNS = [
    "metrics.`accuracy`", "metrics.`params`", "metrics.`latency_ms`", "params.`strategy`",
    f"tags.`{ON_FRONT}`", "tags.`role`", "tags.`status`",
]  # fmt: skip
_SWEEP, _NUMBER = "tags.`sweep`", "tags.`number`"
_ON_TEST, _OF_FRONT = "metrics.`test_accuracy`", "metrics.`front.max.accuracy`"
_NAME, _CREATED, _DURATION = "attributes.`Run Name`", "attributes.`Created`", "Duration"
_WIDTHS = {_NAME: 330, "params.`strategy`": 170, f"tags.`{ON_FRONT}`": 90, "tags.`role`": 90,
           "tags.`status`": 100, "metrics.`params`": 90, _OF_FRONT: 150,
           _SWEEP: 130, _NUMBER: 80}  # fmt: skip
_CONFIRMS = "tags.role = 'confirm'"
_NEWER_THAN_OURS = 1000
"""A view that a person has saved was saved so many milliseconds after the beginning of 1970."""
_ABOUT_BEFORE = frozenset({
    "1075f58f57b9941eea1c9a6458296217f666b9ecae1f5064beee5d40799266fd",
})  # fmt: skip
"""SHA-256 of what earlier versions wrote as the experiment's description."""


def open_experiment(client: Any, name: str, uri: str) -> str:
    """The id of the experiment ``name``, made if it is missing.

    What somebody has written or saved there stays; what is missing is added, and what an earlier
    version wrote becomes that of this one.

    Raises:
        ResultError: it was deleted.
    """
    # For other readers of the store; the UI of MLflow 3.17 does not ask for the kind.
    wanted = {"mlflow.experimentKind": "custom_model_development", **_views()}
    found = client.get_experiment_by_name(name)
    if found is None:
        made: str = client.create_experiment(
            name, artifact_location=artifact_location(uri), tags=wanted
        )
        client.set_experiment_tag(made, NOTE, _about(made))
        return made
    if found.lifecycle_stage != "active":
        raise ResultError(
            f"the MLflow experiment {name!r} was deleted; restore it, "
            "or name another as tracking.experiment"
        )
    number = str(found.experiment_id)
    for key, value in {**wanted, NOTE: _about(number)}.items():
        there = found.tags.get(key)
        if not there or (there != value and _is_of_earlier_version(key, there)):
            client.set_experiment_tag(number, key, value)
    return number


def view_route(experiment_id: str, view: str) -> str:
    """The part of the UI's address that opens a view of an experiment, with the menu of training.

    The UI takes a view from an address only where nothing that it searches for is there too.
    """
    return f"{_runs(experiment_id)}&viewStateShareKey={view}"


def runs_route(experiment: Any) -> str:
    """The part of the UI's address that lists an experiment's runs, in our view if it is there."""
    number = str(experiment.experiment_id)
    return view_route(number, FIRST_VIEW) if has_first_view(experiment) else _runs(number)


def has_first_view(experiment: Any) -> bool:
    """Whether our first view is among those that an experiment has."""
    return f"{_VIEW}{FIRST_VIEW}" in experiment.tags


def first_view() -> dict[str, Any]:
    """What the UI keeps of the view of sweeps and their trials."""
    return _states()[FIRST_VIEW]


def _runs(experiment_id: str) -> str:
    return f"experiments/{experiment_id}/runs?workflowType=machine_learning"


def _about(experiment_id: str) -> str:
    views = [f"[{title}](#/{view_route(experiment_id, key)})" for key, title in TITLES.items()]
    return f"""\
Sweeps of kdsweep: each is a run, its trials and its teacher are the runs below it (+ opens them).

- Views: {", ".join(views)}; they are in the menu at the top right, too, \
which has the name of the view that is shown.
- Tags to search for: `tags.{ON_FRONT} = 'true'`, `tags.strategy = 'kd'`, \
`tags.role = 'control'` (or `trial`, `teacher`, `confirm`, `sweep`), `tags.status = 'complete'` \
(or `pruned`, `failed`, `stopped`, `running`).
- The page of a sweep has its front as a table, and pictures among its artifacts.
"""


def _is_of_earlier_version(key: str, value: str) -> bool:
    """Whether kdsweep wrote it and nobody has changed it since."""
    if key == NOTE:
        return hashlib.sha256(value.encode()).hexdigest() in _ABOUT_BEFORE
    if not key.startswith(_VIEW):
        return False
    try:
        saved = json.loads(value)
        return bool(saved["createdAt"] == saved["updatedAt"] < _NEWER_THAN_OURS)
    except (ValueError, TypeError, KeyError):
        return False


def _states() -> dict[str, dict[str, Any]]:
    """The views; the UI nests runs below others where they are in order of time."""
    by_time, by_accuracy = ("attributes.start_time", False), ("metrics.`accuracy`", False)
    by_size, on_test = ("metrics.`params`", True), (_ON_TEST, False)
    of_sweep = [*_COLUMNS, _OF_FRONT]
    return {
        # A confirmation begins after its sweep, so that its trials would stand above all others.
        FIRST_VIEW: _state(by_time, "tags.role != 'confirm'", of_sweep),
        TRIALS: _state(
            by_accuracy,
            "tags.role != 'sweep' AND tags.role != 'teacher' AND tags.role != 'confirm'",
            [_SWEEP, _NUMBER, *_COLUMNS],
        ),
        FRONTS: _state(by_size, f"tags.{ON_FRONT} = 'true'", [_SWEEP, _NUMBER, *_COLUMNS]),
        CONTROLS: _state(
            by_accuracy,
            "tags.role != 'trial' AND tags.role != 'sweep' AND tags.role != 'confirm'",
            [_SWEEP, *_COLUMNS],
        ),
        CONFIRMED: _state(
            on_test,
            _CONFIRMS,
            [_SWEEP, "tags.`kind`", "tags.`confirms`", _ON_TEST, *_COLUMNS[:4], "tags.`status`"],
        ),
    }


def _state(order: tuple[str, bool], search: str, columns: list[str] = _COLUMNS) -> dict[str, Any]:
    return {
        "searchFilter": search, "orderByKey": order[0], "orderByAsc": order[1],
        "selectedColumns": columns, "columnOrder": [_NAME, *columns, _CREATED, _DURATION],
        "columnWidths": _WIDTHS,
    }  # fmt: skip


def _views() -> dict[str, str]:
    """Tags of the saved views."""
    found = {}
    # The menu has the newest first.
    for at, (key, state) in enumerate(reversed(_states().items()), 1):
        view = {"name": TITLES[key], "createdAt": at, "updatedAt": at, "state": json.dumps(state)}
        found[f"{_VIEW}{key}"] = json.dumps(view)
    return found
