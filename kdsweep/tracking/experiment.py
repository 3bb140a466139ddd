"""The experiment of the sweeps, as MLflow's UI shows it to somebody who has set nothing up.

Of itself the UI shows a run's name, its source and when it began. Which columns it shows, of which
runs and in which order is a *view*; views that are kept as tags of the experiment are in its menu
"Views" for everybody, and can be named in an address. (The tags are those that the UI of
MLflow 3.17 writes for "Save as new view".)
"""

import json
from typing import Any

from kdsweep.errors import ResultError
from kdsweep.tracking.entities import NOTE, ON_FRONT
from kdsweep.tracking.where import artifact_location

_VIEW = "mlflow.sharedViewState."
FIRST_VIEW = "kdsweep-sweeps"
"""The view that ``kdsweep ui`` opens."""
_COLUMNS = [
    "metrics.`accuracy`", "metrics.`params`", "metrics.`latency_ms`", "params.`strategy`",
    f"tags.`{ON_FRONT}`", "tags.`role`", "tags.`status`",
]  # fmt: skip
_ON_TEST = "metrics.`test_accuracy`"
_NAME, _CREATED, _DURATION = "attributes.`Run Name`", "attributes.`Created`", "Duration"
_WIDTHS = {_NAME: 260, "params.`strategy`": 150, f"tags.`{ON_FRONT}`": 90, "tags.`role`": 90,
           "tags.`status`": 100, "metrics.`params`": 90}  # fmt: skip
_ABOUT = f"""\
Sweeps of kdsweep: each is a run, its trials and its teacher are the runs below it (+ opens them).

- **Views**, top right, has the trials by accuracy, the fronts, and the controls and teachers.
- Tags to search for: `tags.{ON_FRONT} = 'true'`, `tags.strategy = 'kd'`, \
`tags.role = 'control'` (or `trial`, `teacher`, `confirm`, `sweep`), `tags.status = 'complete'` \
(or `pruned`, `failed`, `stopped`, `running`).
- The page of a sweep has its front as a table, and pictures among its artifacts.
"""


def open_experiment(client: Any, name: str, uri: str) -> str:
    """The id of the experiment ``name``, made if it is missing.

    What somebody has written or saved there stays; what is missing is added.

    Raises:
        ResultError: it was deleted.
    """
    wanted = {
        # Without the tag the UI opens the experiment in its view for language models.
        "mlflow.experimentKind": "custom_model_development",
        NOTE: _ABOUT,
        **_views(),
    }
    found = client.get_experiment_by_name(name)
    if found is None:
        made: str = client.create_experiment(
            name, artifact_location=artifact_location(uri), tags=wanted
        )
        return made
    if found.lifecycle_stage != "active":
        raise ResultError(
            f"the MLflow experiment {name!r} was deleted; restore it, "
            "or name another as tracking.experiment"
        )
    for key, value in wanted.items():
        if not found.tags.get(key):
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def runs_route(experiment: Any) -> str:
    """The part of the UI's address that lists an experiment's runs, in our view if it is there.

    Without the type the UI has the menu of its view for language models.
    """
    route = f"experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    has_view = f"{_VIEW}{FIRST_VIEW}" in experiment.tags
    return f"{route}&viewStateShareKey={FIRST_VIEW}" if has_view else route


def _views() -> dict[str, str]:
    """Tags of the saved views; the UI nests runs where they are in order of time, unfiltered."""
    by_time, by_accuracy = ("attributes.start_time", False), ("metrics.`accuracy`", False)
    by_size = ("metrics.`params`", True)
    # The menu has the newest first.
    views = [
        ("kdsweep-confirmed", "Confirmed students", (_ON_TEST, False), "tags.role = 'confirm'"),
        ("kdsweep-controls", "Controls and teachers", by_accuracy,
         "tags.role != 'trial' AND tags.role != 'sweep' AND tags.role != 'confirm'"),
        ("kdsweep-fronts", "Students on the fronts", by_size, f"tags.{ON_FRONT} = 'true'"),
        ("kdsweep-trials", "Trials, most accurate first", by_accuracy,
         "tags.role != 'sweep' AND tags.role != 'teacher' AND tags.role != 'confirm'"),
        (FIRST_VIEW, "Sweeps and their trials", by_time, ""),
    ]  # fmt: skip
    return {
        f"{_VIEW}{key}": _view(title, order, search, at=number)
        for number, (key, title, order, search) in enumerate(views, 1)
    }


def _view(title: str, order: tuple[str, bool], search: str, *, at: int) -> str:
    columns = [_ON_TEST, *_COLUMNS] if order[0] == _ON_TEST else _COLUMNS
    state = {
        "searchFilter": search, "orderByKey": order[0], "orderByAsc": order[1],
        "selectedColumns": columns, "columnOrder": [_NAME, *columns, _CREATED, _DURATION],
        "columnWidths": _WIDTHS,
    }  # fmt: skip
    return json.dumps({"name": title, "createdAt": at, "updatedAt": at, "state": json.dumps(state)})
