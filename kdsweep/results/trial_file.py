"""A trial as a file that runs again as it stands."""

import json
from functools import lru_cache
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from kdsweep.results.record import TrialResult


def trial_file(result: TrialResult) -> str:
    """The text of a trial's own file: the resolved trial in YAML, under a line that says so."""
    title = " ".join(result.label.split())
    head = f"# Trial {result.number}: {title}. `kdsweep trial FILE` runs it again.\n"
    sections = "".join(map(_section, map(json.dumps, result.trial.items())))
    return f"{head}trial:\n{sections}" if sections else f"{head}trial: {{}}\n"


@lru_cache(maxsize=256)
def _section(item: str) -> str:
    """A section of the trial in YAML, given as JSON: some are the same in all trials of a sweep.

    To write them all anew took the driver seven milliseconds for each trial.
    """
    key, value = json.loads(item)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    text = StringIO()
    yaml.dump({"trial": {key: value}}, text)
    return text.getvalue().removeprefix("trial:\n")
