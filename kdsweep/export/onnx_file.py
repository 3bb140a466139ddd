"""A network as an ONNX file, and that file in ONNX Runtime."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from kdsweep.errors import ResultError, in_one_line
from kdsweep.export.inputs import Contract

OUTPUT = "logits"
_LARGEST_BYTES = 2**31 - 2**20
"""Of the weights: the format has 2 GiB for all of a file."""
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Pass if ONNX can be written and run here.

    Raises:
        ResultError: a package of the extra is missing; has the command that installs it.
    """
    missing = []
    for name in _NEEDED:
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ResultError(
            f"--format onnx needs {', '.join(missing)}, which cannot be imported: "
            "pip install 'kdsweep[onnx]'"
        )


def write_onnx(program: ExportedProgram, contract: Contract, path: Path) -> None:
    """Write the graph with its weights in one file, its number of samples free.

    Raises:
        ResultError: an operation of the network has no counterpart in ONNX.
    """
    import onnx

    if sum(each.nbytes for each in program.state_dict.values()) >= _LARGEST_BYTES:
        raise ResultError(
            "the student's weights are larger than the 2 GiB that an ONNX file holds: export it "
            "with --format pt2"
        )
    try:
        with _quiet():
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False,
                input_names=[contract.name], output_names=[OUTPUT],
            )  # fmt: skip
    except Exception as error:  # an operation without a counterpart, or one that does not fit
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise ResultError(
            f"the network cannot be written as ONNX: {in_one_line(cause)}; --format pt2 has all "
            "of PyTorch's operations"
        ) from error
    assert made is not None
    model: Any = made.model_proto
    _forget_this_machine(model.graph)
    _name_the_batch(model.graph, contract)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def session(path: Path) -> Any:
    """The file in ONNX Runtime on the CPU, with as many threads as torch has.

    Raises:
        ResultError: ONNX Runtime does not take it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises what it likes
        raise ResultError(
            f"ONNX Runtime does not take what was exported: {in_one_line(error)}"
        ) from error


def run(opened: Any, given: Tensor) -> Tensor:
    """Logits ``[N, C]`` as ONNX Runtime gives them."""
    (name,) = (each.name for each in opened.get_inputs())
    (logits,) = opened.run([OUTPUT], {name: given.numpy()})
    return torch.from_numpy(logits).float()


def _forget_this_machine(graph: Any) -> None:
    """Notes of the exporter, among them paths of this machine; they can outweigh the weights."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for tensor in graph.initializer:
        del tensor.metadata_props[:]


def _name_the_batch(graph: Any, contract: Contract) -> None:
    """The free dimension gets a name that a person reads in place of ``s34``."""
    first = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param and size.dim_param == first:
                size.dim_param = "batch"


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its progress, and of what it will be like in later versions."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
