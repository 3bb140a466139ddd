"""A traced network as plain PyTorch code, which needs its weights and nothing of kdsweep."""

import keyword
import re
from dataclasses import dataclass

from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec

from kdsweep.errors import ResultError

_LARGEST_LITERAL = 20_000
"""Values of a constant that is written into the code."""
_CHECK = "_assert_tensor_metadata"
_HEAD = '''"""The student, traced by torch.export: plain PyTorch, in evaluation mode.

    from safetensors.torch import load_file
    logits = student(load_file("student.safetensors"), {name})

``{name}`` is {dtype} {shape}; the logits are [N, {classes}]. Made by kdsweep {version}.
"""

from math import inf, nan  # the code below has them by these names

import torch
from torch import device


'''


@dataclass(frozen=True)
class About:
    """What the head of the code says of input and output."""

    name: str
    dtype: str
    shape: str
    classes: int
    version: str


def plain_code(program: ExportedProgram, about: About, *, prefix: str) -> str:
    """The text of a module with the one function ``student(weights, input)``.

    ``prefix`` is taken off the names of the weights, so that they are the student's own. What the
    weights do not hold (a normalisation, tables of positions) is written out.

    Raises:
        ResultError: the graph has parts that cannot be written as calls of PyTorch's operations.
    """
    graph = program.graph_module.graph
    if any(node.op in ("get_attr", "call_module", "call_method") for node in graph.nodes):
        raise ResultError(
            "the network's graph has graphs within, which are not written as plain code: "
            "export it with --format pt2 or --format onnx (the weights alone are in the run)"
        )
    body = _body(program)
    lines, constants = list[str](), list[str]()
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            continue
        weight = _weight(spec, prefix)
        if weight is not None:
            lines.append(f"    {name} = weights[{weight!r}]")
        else:
            constants.append(_constant(name, _value(program, spec)))
    taken = _given(program)
    head = _HEAD.format(**vars(about))
    signature = f'def student(weights, {taken}):\n    """Logits of {taken}."""\n'
    return head + signature + "\n".join([*constants, *lines, body]) + "\n"


def _body(program: ExportedProgram) -> str:
    """The calls of the graph, one a line, as ``torch.fx`` writes them."""
    source = program.graph_module.graph.python_code("self").src
    calls = source.split("):\n", 1)[1].splitlines()
    text = "\n".join(line.rstrip() for line in calls if line.strip() and _CHECK not in line)
    return re.sub(r"return \((\w+),\)$", r"return \1", text)


def _weight(spec: InputSpec, prefix: str) -> str | None:
    """The name among the weights; none of what they do not hold."""
    target = spec.target or ""
    is_kept = spec.kind is InputKind.PARAMETER or (
        spec.kind is InputKind.BUFFER and spec.persistent is not False
    )
    return target.removeprefix(prefix) if is_kept and target.startswith(prefix) else None


def _value(program: ExportedProgram, spec: InputSpec) -> Tensor:
    target = spec.target or ""
    found = program.constants.get(target)
    if found is None:
        found = program.state_dict.get(target)
    if not isinstance(found, Tensor) or found.numel() > _LARGEST_LITERAL:
        raise ResultError(
            f"the network has a constant {target!r} that is not written as plain code: export it "
            "with --format pt2 or --format onnx"
        )
    return found


def _constant(name: str, value: Tensor) -> str:
    return f"    {name} = torch.tensor({value.tolist()!r}, dtype={value.dtype})"


def _given(program: ExportedProgram) -> str:
    (name,) = (
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT
    )
    assert not keyword.iskeyword(name)
    return str(name)
