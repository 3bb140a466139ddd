"""The data set of a sweep as an MLflow input: its name, its fingerprint, how it was divided."""

import json
from typing import Any

from kdsweep.errors import redacted
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult

# The limits of MLflow's stores, in characters.
_NAME_LENGTH, _DIGEST_LENGTH, _SOURCE_LENGTH = 500, 36, 65_535


def data_input(meta: RunMeta, result: TrialResult) -> Any | None:
    """An ``mlflow.entities.DatasetInput``: the data that a trial learns from and is measured on.

    None while the fingerprint is unknown, and for a trial whose data the search has changed, since
    the fingerprint is of the sweep's own. MLflow keeps inputs of one name and digest once.
    """
    data = result.trial.get("data")
    varied = any(path.partition(".")[0] == "data" for path in result.changes)
    if meta.data_fingerprint is None or not isinstance(data, dict) or varied:
        return None
    from mlflow.entities import Dataset, DatasetInput, InputTag

    settings = redacted(json.dumps(data, default=str))
    dataset = Dataset(
        name=str(data.get("name", "data"))[:_NAME_LENGTH],
        digest=meta.data_fingerprint[:_DIGEST_LENGTH],
        source_type="kdsweep",
        source=settings if len(settings) <= _SOURCE_LENGTH else "{}",
    )
    # One set is divided into both: a run has an input of one name and digest only once.
    context = InputTag("mlflow.data.context", "training, validation")
    return DatasetInput(dataset, [context])
