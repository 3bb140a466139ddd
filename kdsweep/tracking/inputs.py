"""The data set of a sweep as an MLflow input: its name, its fingerprint, what it consists of."""

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
        schema=_schema(meta),
        profile=_profile(meta),
    )
    # One set is divided into both: a run has an input of one name and digest only once.
    test = "" if meta.confirms is None else ", testing"
    context = InputTag("mlflow.data.context", f"training, validation{test}")
    return DatasetInput(dataset, [context])


def _profile(meta: RunMeta) -> str | None:
    """How many examples there are and what they look like, a line of the UI for each."""
    shapes = {name: "x".join(map(str, shape)) for name, shape in meta.inputs.items()}
    known = {
        **{f"{split} examples": number for split, number in meta.examples.items()},
        **({} if meta.num_classes is None else {"classes": meta.num_classes}),
        **shapes,
    }
    return json.dumps(known) if known else None


def _schema(meta: RunMeta) -> str | None:
    """As ``mlflow.data`` has it of arrays: inputs by name, and the number of a class."""
    if not meta.inputs:
        return None
    import numpy as np
    from mlflow.data.schema import TensorDatasetSchema
    from mlflow.types import Schema, TensorSpec

    inputs = [
        TensorSpec(np.dtype("int64" if name == "tokens" else "float32"), (-1, *shape), name)
        for name, shape in meta.inputs.items()
    ]
    label = TensorSpec(np.dtype("int64"), (-1,), "label")
    return json.dumps(TensorDatasetSchema(Schema(inputs), Schema([label])).to_dict())
