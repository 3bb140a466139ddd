"""A student as a folder in MLflow's own form, checked as whoever loads it will ask it."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kdsweep import catalog
from kdsweep.errors import ResultError, SpecError, in_one_line
from kdsweep.export.checking import refuse_disagreement, tallied
from kdsweep.export.inputs import Contract, contract_of, deployed, splits_of
from kdsweep.export.student import Student, student_of
from kdsweep.export.tracing import traced
from kdsweep.results.names import TRIAL_FILE
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.results.trial_file import trial_file

_EXAMPLES = 2
"""More than one: of one MLflow would take the number of samples to be fixed."""
_PACKAGES = ("mlflow", "torch", "numpy")


def pack(
    store: RunStore,
    result: TrialResult,
    folder: Path,
    *,
    run_id: str,
    tell: Callable[[str], object],
) -> None:
    """Write the model into ``folder``, load it with ``mlflow.pyfunc``, and compare.

    Beside it are the trial file and, of a text student, the tokenizer, as extra files.

    Raises:
        ResultError: the student cannot be had or traced, its data are not here, or what is loaded
            disagrees with it.
        StorageError: its weights are in an object store that does not answer.
    """
    student = student_of(store, result)
    splits = splits_of(student.trial)
    contract = contract_of(student, splits)
    network = deployed(student.network, contract)
    tell(f"trial {result.number} ({result.label}): tracing the network")
    traced(network, contract)  # what cannot be traced is refused in our words
    beside = _beside(student, result, folder.parent, contract)
    _save(network, contract, splits.info.class_names, folder, beside, run_id)
    num = splits.validation.num_samples
    tell(f"loading it as mlflow.pyfunc does, and checking on {num:,} validation samples")
    _, tallies = tallied(student.network, splits.validation, contract, {"it": _loaded(folder)})
    refuse_disagreement("the model as MLflow loads it", tallies["it"])


def _beside(student: Student, result: TrialResult, folder: Path, contract: Contract) -> list[str]:
    files = {TRIAL_FILE: trial_file(result).encode()}
    if contract.name == "tokens":
        try:
            tokenizer = catalog.dataset(student.trial.data).tokenizer_file()
        except SpecError as error:
            raise ResultError(error.problems) from error
        if tokenizer is not None:
            files["tokenizer.json"] = tokenizer
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]


def _save(
    network: torch.nn.Module,
    contract: Contract,
    class_names: tuple[str, ...],
    folder: Path,
    beside: list[str],
    run_id: str,
) -> None:
    import mlflow.pytorch
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    dtype = np.dtype(str(contract.dtype).removeprefix("torch."))
    signature = ModelSignature(
        Schema([TensorSpec(dtype, (-1, *contract.sizes))]),
        Schema([TensorSpec(np.dtype("float32"), (-1, len(class_names)))]),
    )
    mlflow.pytorch.save_model(
        network, str(folder), mlflow_model=Model(run_id=run_id), signature=signature,
        # Nothing of anybody's data.
        input_example=contract.blank(_EXAMPLES).numpy(),
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in _PACKAGES],
        extra_files=beside, serialization_format="pt2",
        metadata={"class_names": list(class_names), "input": contract.name},
    )  # fmt: skip


def _loaded(folder: Path) -> Callable[[Tensor], Tensor]:
    import mlflow.pyfunc

    try:
        model: Any = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # the library raises what it likes
        raise ResultError(f"MLflow does not load what it wrote: {in_one_line(error)}") from error

    def answer(given: Tensor) -> Tensor:
        return torch.from_numpy(model.predict(given.numpy())).float()

    return answer
