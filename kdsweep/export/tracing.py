"""A network as a graph of PyTorch's own operations, for any number of samples; as a pt2 file."""

import io
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from kdsweep.errors import ResultError, in_one_line
from kdsweep.export.inputs import Contract

_TRACED_WITH = 3
"""Samples: of one, a network could not be told from one that takes no more."""


def traced(network: nn.Module, contract: Contract) -> ExportedProgram:
    """The graph of a deployed network, its number of samples free.

    Raises:
        ResultError: it cannot be traced; says where, and that it takes one number of samples only
            where that is so.
    """
    given = contract.blank(_TRACED_WITH)
    free = {contract.name: {0: Dim("batch", min=1)}}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (given,), dynamic_shapes=free)
    except Exception as error:  # a class of one's own may do what no graph can say
        raise ResultError(_refusal(error)) from error
    _forget_this_machine(program)
    return program


def pt2_bytes(program: ExportedProgram) -> bytes:
    """The graph with its weights as PyTorch's own archive."""
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def pt2_network(path: Path) -> nn.Module:
    """The network in a pt2 file."""
    return torch.export.load(path).module()


def run(network: nn.Module, given: Tensor) -> Tensor:
    """Logits ``[N, C]`` as the file gives them."""
    with torch.inference_mode():
        logits: Tensor = network(given)
    return logits.float()


def _forget_this_machine(program: ExportedProgram) -> None:
    """Where each operation was called from has paths of this machine in it."""
    for node in program.graph_module.graph.nodes:
        node.meta.pop("stack_trace", None)


def _refusal(error: Exception) -> str:
    said = str(error)
    if "specialized it to be a constant" in said:
        return (
            "the network fixes the number of samples, so that it cannot be exported for any "
            "number: in its forward use x.shape[0] in place of len(x), and no Python number "
            "made of it"
        )
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    return f"the network cannot be traced as a graph: {in_one_line(cause)}"
