"""The files of an export: each is written, loaded back as a stranger would, and then asked."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

import torch
from safetensors.torch import load_file
from torch import nn
from torch.export import ExportedProgram

from kdsweep import __version__
from kdsweep.data.base import Split
from kdsweep.errors import ResultError
from kdsweep.export import onnx_file, quantise, tracing
from kdsweep.export.checking import Agreement, Quality, Runner
from kdsweep.export.inputs import Contract
from kdsweep.export.plain_code import About, plain_code
from kdsweep.results.latency import BatchLatency
from kdsweep.train.weights import save_weights

Format = Literal["safetensors", "onnx", "pt2"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
WEIGHTS, CODE = "student.safetensors", "student.py"
ONNX, INT8, PT2 = "student.onnx", "student.int8.onnx", "student.pt2"
OF_FORMAT: Final[dict[Format, str]] = {"safetensors": WEIGHTS, "onnx": ONNX, "pt2": PT2}


@dataclass(frozen=True)
class Written:
    """A file with a network, and what was found of it.

    ``blank`` are its logits of one blank input ``[C]``; ``code`` has the name of a file that is
    needed beside it.
    """

    name: str
    sha256: str
    num_bytes: int
    blank: tuple[float, ...]
    quality: Quality
    agreement: Agreement
    latency: tuple[BatchLatency, ...]
    code: str | None = None


def chosen_formats(given: Sequence[str], *, int8: bool) -> tuple[Format, ...]:
    """The formats that were asked for, each once; without any safetensors, for int8 ONNX.

    Raises:
        ResultError: one is none, or int8 is asked of something else than ONNX.
    """
    known: list[Format] = []
    for name in given:
        found = next((each for each in FORMATS if each == name), None)
        if found is None:
            raise ResultError(f"format {name!r} is not allowed (allowed: {', '.join(FORMATS)})")
        known.append(found)
    if not known:
        return ("onnx",) if int8 else ("safetensors",)
    if int8 and "onnx" not in known:
        raise ResultError(
            "--int8 is of ONNX files alone: ONNX Runtime runs them on any processor, while a "
            "quantised pt2 runs with the libraries that it was made for; give --format onnx too"
        )
    return tuple(dict.fromkeys(known))


def write(
    network: nn.Module,
    program: ExportedProgram,
    contract: Contract,
    format: Format,
    *,
    folder: Path,
    num_classes: int,
) -> Runner:
    """Write the files of a format into ``folder``; gives what runs them, loaded from there.

    ``network`` is the student, ``program`` the graph of it as it is deployed.

    Raises:
        ResultError: the network cannot be written so; says why and what to do.
    """
    path = folder / OF_FORMAT[format]
    if format == "onnx":
        onnx_file.write_onnx(program, contract, path)
        return partial(onnx_file.run, onnx_file.session(path))
    if format == "pt2":
        path.write_bytes(tracing.pt2_bytes(program))
        return partial(tracing.run, tracing.pt2_network(path))
    save_weights(network, path, about={"made_by": f"kdsweep {__version__}"})
    shape = ", ".join(map(str, contract.sizes))
    about = About(
        contract.name, str(contract.dtype), f"[N, {shape}]", num_classes, __version__
    )  # fmt: skip
    code = folder / CODE
    code.write_text(plain_code(program, about, prefix="network."), encoding="utf-8")
    return partial(_run_code, _function_in(code), load_file(path))


def write_int8(network: nn.Module, train: Split, contract: Contract, *, folder: Path) -> Runner:
    """Write the int8 twin of the ONNX file in ``folder``; gives what runs it.

    Raises:
        ResultError: there is nothing to calibrate it on, or ONNX Runtime cannot quantise it.
    """
    calibrating = quantise.calibration(network, train, contract)
    quantise.write_int8(folder / ONNX, folder / INT8, calibrating, contract)
    return partial(onnx_file.run, onnx_file.session(folder / INT8))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _function_in(path: Path) -> Callable[..., torch.Tensor]:
    spec = importlib.util.spec_from_file_location("exported_student", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Beside the file, in the folder that is exported, Python would leave what it has compiled.
    writes_bytecode, sys.dont_write_bytecode = not sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = not writes_bytecode
    function: Callable[..., torch.Tensor] = module.student
    return function


def _run_code(
    function: Callable[..., torch.Tensor], weights: dict[str, torch.Tensor], given: torch.Tensor
) -> torch.Tensor:
    with torch.inference_mode():
        return function(weights, given).float()
