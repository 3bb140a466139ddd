"""One batch through both networks, every map kept: what a strategy builds its adapters from."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdsweep.batch import Batch, Outputs
from kdsweep.models.modes import evaluating
from kdsweep.models.stages import stages
from kdsweep.strategies.base import Probe
from kdsweep.train.teacher import Teacher

PROBE_SAMPLES = 2


def probe(student: nn.Module, teacher: Teacher | None, batch: Batch, num_classes: int) -> Probe:
    """Both networks' maps of a few samples, by module path; neither network is changed."""
    images = batch.images[:PROBE_SAMPLES]
    student_outputs, student_stages = _probed(student, images)
    if teacher is None:
        return Probe(student_outputs, None, student_stages, (), num_classes)
    teacher_outputs, teacher_stages = _probed(teacher.network, images)
    return Probe(student_outputs, teacher_outputs, student_stages, teacher_stages, num_classes)


def _probed(network: nn.Module, images: Tensor) -> tuple[Outputs, tuple[str, ...]]:
    """What every module gives that a layer may be named by, and the stages among them."""
    maps: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                maps[path] = output

        return note

    handles = [m.register_forward_hook(keep(p)) for p, m in network.named_modules() if p]
    try:
        with evaluating(network), torch.no_grad():
            logits = network(images)
    finally:
        for handle in handles:
            handle.remove()
    return Outputs(logits, maps), stages(network, images)
