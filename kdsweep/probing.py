"""A few examples through two networks, every map kept: what strategies are built from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Anatomy, Batch, Outputs, Shape, Tokens, read_by
from kdsweep.data.base import DataInfo
from kdsweep.errors import SpecError
from kdsweep.models.embedding import embedding
from kdsweep.models.features import OF_INPUT, FeatureTap
from kdsweep.models.modes import evaluating
from kdsweep.models.stages import stages
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Strategy, probed_teacher

PROBE_SAMPLES = 2


@dataclass(frozen=True)
class Probed:
    """One network's share of a probe; see ``Probe`` for what the fields mean."""

    outputs: Outputs
    shape: Shape
    stages: tuple[str, ...] = ()
    embedding: str | None = None
    anatomy: Anatomy | None = None
    norms: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def without_values(self) -> "Probed":
        """The same shapes on the meta device, where they take no memory."""
        return self._mapped(lambda values: values.to("meta"))

    def filled(self) -> "Probed":
        """The same shapes on the CPU, zeros where there were no values."""
        return self._mapped(lambda values: torch.zeros_like(values, device="cpu"))

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> "Probed":
        maps = {path: change(each) for path, each in self.outputs.features.items()}
        norms = {path: (change(m), change(v)) for path, (m, v) in self.norms.items()}
        return replace(self, outputs=Outputs(change(self.outputs.logits), maps), norms=norms)


def blank_batch(info: DataInfo, device: torch.device, num: int = PROBE_SAMPLES) -> Batch:
    """Empty inputs of a data set's shapes, for networks to be probed with."""
    inputs = {
        name: torch.ones(num, shape.length, dtype=torch.int64, device=device)
        if isinstance(shape, Tokens)
        else torch.zeros(num, *shape, device=device)
        for name, shape in info.shapes.items()
    }
    ids = torch.arange(num, device=device)
    return Batch(inputs, torch.full_like(ids, UNLABELLED), ids)


def probed(network: nn.Module, batch: Batch, info: DataInfo) -> Probed:
    """What every module gives for the first examples of a batch, and what is known of a network.

    It is left as it was.
    """
    inputs, maps = batch.seen_by(network)[:PROBE_SAMPLES], dict[str, Tensor]()

    def keep(path: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, taken: object, output: object) -> None:
            if isinstance(output, Tensor):
                maps[path] = output

        return note

    handles = [m.register_forward_hook(keep(p)) for p, m in network.named_modules() if p]
    path = embedding(network, inputs)
    try:
        with evaluating(network), torch.no_grad(), FeatureTap(network, [path] if path else []) as t:
            logits = network(inputs)
            maps |= t.features
    finally:
        for handle in handles:
            handle.remove()
    return Probed(
        Outputs(logits, maps),
        read_by(network, info.shapes),
        stages(network, inputs),
        path,
        _anatomy(network),
        _norms(network),
    )


def probe_of(
    student: Probed,
    teacher: Probed | None,
    *,
    num_classes: int,
    num_samples: int,
    teachers: Mapping[str, Outputs],
    new_student: Callable[[], nn.Module],
    new_teacher: Callable[[], nn.Module] | None,
) -> Probe:
    """What a strategy is told of a student and its main teacher; ``teachers`` has all by name."""
    return Probe(
        student=student.outputs,
        teacher=None if teacher is None else teacher.outputs,
        student_stages=student.stages,
        teacher_stages=() if teacher is None else teacher.stages,
        num_classes=num_classes,
        num_samples=num_samples,
        student_embedding=student.embedding,
        teacher_embedding=None if teacher is None else teacher.embedding,
        student_anatomy=student.anatomy,
        teacher_anatomy=None if teacher is None else teacher.anatomy,
        shape=student.shape,
        teacher_shape=None if teacher is None else teacher.shape,
        teachers=teachers,
        teacher_norms={} if teacher is None else teacher.norms,
        new_student=new_student,
        new_teacher=new_teacher,
    )


def build_strategies(component: Component, probe: Probe) -> dict[str, Strategy]:
    """The strategy of a component and its extras for the probed networks, by dotted path.

    The main one comes first.

    Raises:
        SpecError: every reason why one of them cannot be built, each with its path.
    """
    problems: list[str] = []
    built: dict[str, Strategy] = {}
    for path, each in _paths(component).items():
        try:
            strategy = catalog.strategy(each, probe)
            if strategy.needs.teacher:
                probed_teacher(probe)
        except SpecError as error:
            problems += _under(path, each, error)
        else:
            built[path] = strategy
    if problems:
        raise SpecError(problems)
    return built


def begin_strategies(
    component: Component,
    built: Mapping[str, Strategy],
    student: nn.Module,
    teacher: nn.Module | None,
) -> None:
    """Let the strategies that were built of a component set the student up.

    Raises:
        SpecError: the networks do not suit one of them; says its path.
    """
    for path, each in _paths(component).items():
        try:
            built[path].begin(student, teacher)
        except SpecError as error:
            raise SpecError(_under(path, each, error)) from error


def _paths(component: Component) -> dict[str, Component]:
    extras = catalog.extras(component)
    return {"strategy": component, **{f"strategy.extra.{n}": c for n, c in extras.items()}}


def _under(path: str, component: Component, error: SpecError) -> list[str]:
    """A sentence that starts with a setting of the strategy is about that setting."""
    settings = set(catalog.find("strategy", component.name).Params.model_fields)
    return [
        f"{path}.{problem}"
        if problem.partition(": ")[0].partition(".")[0] in settings
        else f"{path}: {problem}"
        for problem in error.problems
    ]


def _anatomy(network: nn.Module) -> Anatomy | None:
    found = getattr(network, "anatomy", None)
    return found if isinstance(found, Anatomy) else None


def _norms(network: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Running mean and variance of each batch norm, by the path of what it takes."""
    return {
        path + OF_INPUT: (module.running_mean, module.running_var)
        for path, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.running_mean is not None
        and module.running_var is not None
    }
