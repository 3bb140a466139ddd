"""One batch through both networks, every map kept: what a strategy builds its adapters from."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Anatomy, Batch, Outputs, read_by
from kdsweep.data.base import DataInfo
from kdsweep.models.embedding import embedding
from kdsweep.models.features import OF_INPUT, FeatureTap
from kdsweep.models.modes import evaluating
from kdsweep.models.stages import stages
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import Probe
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.teacher import Source
from kdsweep.train.weights import load_into

PROBE_SAMPLES = 2


def probe(
    trial: TrialSpec,
    student: nn.Module,
    sources: Mapping[str, Source],
    batch: Batch,
    info: DataInfo,
    *,
    num_samples: int,
) -> Probe:
    """Both networks' maps of a few samples, by module path; neither network is changed.

    ``sources`` are the teachers by name; the main one's maps are kept, of others the logits.
    """
    few = Batch(
        {name: inputs[:PROBE_SAMPLES] for name, inputs in batch.inputs.items()},
        batch.labels[:PROBE_SAMPLES],
        batch.ids[:PROBE_SAMPLES],
    )
    main = sources[MAIN_TEACHER].teacher.network if MAIN_TEACHER in sources else None
    ours, our_stages, our_embedding = _probed(student, few)
    theirs, their_stages, their_embedding = (None, (), None) if main is None else _probed(main, few)
    device = few.labels.device
    return Probe(
        student=ours,
        teacher=theirs,
        student_stages=our_stages,
        teacher_stages=their_stages,
        num_classes=info.num_classes,
        num_samples=num_samples,
        student_embedding=our_embedding,
        teacher_embedding=their_embedding,
        student_anatomy=_anatomy(student),
        teacher_anatomy=_anatomy(main),
        shape=read_by(student, info.shapes),
        teacher_shape=None if main is None else read_by(main, info.shapes),
        teachers={
            name: theirs if name == MAIN_TEACHER and theirs else source.teacher.outputs(few)
            for name, source in sources.items()
        },
        teacher_norms=_norms(main),
        new_student=lambda: catalog.model_for(trial.student, info).to(device),
        new_teacher=None if trial.teacher is None else lambda: _live_teacher(trial, info, device),
    )


def _probed(network: nn.Module, batch: Batch) -> tuple[Outputs, tuple[str, ...], str | None]:
    """What every module gives that a layer may be named by; the stages and the embedding."""
    inputs, maps = batch.seen_by(network), dict[str, Tensor]()

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
    return Outputs(logits, maps), stages(network, inputs), path


def _anatomy(network: nn.Module | None) -> Anatomy | None:
    found = getattr(network, "anatomy", None)
    return found if isinstance(found, Anatomy) else None


def _norms(network: nn.Module | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Running mean and variance of each batch norm, by the path of what it takes."""
    if network is None:
        return {}
    return {
        path + OF_INPUT: (module.running_mean, module.running_var)
        for path, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.running_mean is not None
        and module.running_var is not None
    }


def _live_teacher(trial: TrialSpec, info: DataInfo, device: torch.device) -> nn.Module:
    assert trial.teacher is not None
    network = catalog.model_for(trial.teacher.model, info)
    if trial.teacher.weights is not None:
        path = Path(trial.teacher.weights).expanduser()
        load_into(network, load_state(path), source=trial.teacher.weights)
    return network.to(device)
