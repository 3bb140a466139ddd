"""What is measured of networks beside their accuracy: sizes of students, and how long they take."""

from typing import Any

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.data.base import DataInfo
from kdsweep.models.size import count_macs, count_params, size_bytes
from kdsweep.results.latency import Latency
from kdsweep.spec import Component
from kdsweep.train.teacher import Teacher
from kdsweep.train.teacher_store import TeacherCard
from kdsweep.train.timing import Timing


def measured(
    student: nn.Module,
    component: Component,
    info: DataInfo,
    device: torch.device,
    timing: Timing,
    *,
    is_cut_short: bool,
) -> tuple[dict[str, float], Latency]:
    """The metrics that need no data, and how ``latency_ms`` among them came about.

    A student that ``is_cut_short`` will be taken by nobody: it is timed for a moment.
    """
    shape = catalog.shape_for(component, info)
    latency = timing.of(student, shape, device, is_cut_short=is_cut_short)
    metrics = {
        "params": count_params(student),
        "macs": count_macs(student, shape),
        "size_bytes": size_bytes(student),
        "latency_ms": latency.batches[0].p50_ms,
    }
    return metrics, latency


def timed_teacher(
    teacher: Teacher, card: TeacherCard, info: DataInfo, device: torch.device, timing: Timing
) -> dict[str, Any]:
    """How long a teacher takes by the harness that times students, for an outcome."""
    shape = catalog.shape_for(Component.model_validate(card.model), info)
    return {"latency": timing.of_teacher(teacher.network, shape, device).model_dump()}
