"""MLflow's server as ``kdsweep ui`` starts it: set up for somebody who has not been there before.

The UI of MLflow 3.17 takes what it shows at first from the browser's storage, where a first visit
finds nothing: then it has the menu of language models, an open assistant, and of runs the name and
the time. An address can say otherwise, but is forgotten with the next click. So the page that the
server sends out brings what should be there; what the browser has already stays as it is.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdsweep.tracking.experiment import first_view, has_first_view

APP = "kdsweep"
"""What the application is called among those of ``mlflow server --app-name``."""
STORE = "KDSWEEP_UI_STORE"
"""The environment variable with the address of the store that is shown."""
_MENU = "mlflow.workflowType_v1"
_ASSISTANT = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"
_RUNS = 'MLflowLocalStorage-1.1-ExperimentPage-["{}"]-ReactComponentState'
_SCRIPT = (
    "<script>try{{const given={};for(const key in given)"
    "localStorage.getItem(key)??localStorage.setItem(key,given[key])}}"
    "catch(error){{console.warn(error)}}</script>"
)


def create_app() -> Any:
    """The application of ``mlflow server``, with another first page; for an ASGI server."""
    from flask import Response
    from mlflow.server import app as pages
    from mlflow.server.fastapi_app import app

    index = Path(str(pages.static_folder)) / "index.html"

    def serve() -> Response:
        given = storage(_experiments_of(os.environ.get(STORE)))
        # Experiments come and go: a page of yesterday would not know those of today.
        return Response(
            page_with(index.read_text(encoding="utf-8"), given),
            mimetype="text/html",
            headers={"Cache-Control": "no-store"},
        )

    pages.view_functions["serve"] = serve
    return app


def storage(experiments: Sequence[str]) -> dict[str, str]:
    """What a browser should have in its storage, by key; ``experiments`` are those in our view."""
    state = json.dumps(first_view())
    return {
        _MENU: json.dumps("machine_learning"),
        _ASSISTANT: json.dumps(True),
        **{_RUNS.format(number): state for number in experiments},
    }


def page_with(page: str, given: dict[str, str]) -> str:
    """``page`` with a script that puts ``given`` into the browser's storage, before any other."""
    # Within a script nothing may look like its end.
    data = json.dumps(given).replace("<", "\\u003c")
    before, head, after = page.partition("<head>")
    return f"{before}{head}{_SCRIPT.format(data)}{after}" if head else page


def _experiments_of(uri: str | None) -> list[str]:
    from mlflow import MlflowClient

    if uri is None:
        return []
    found = MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments()
    return [str(each.experiment_id) for each in found if has_first_view(each)]
