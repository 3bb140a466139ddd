"""The probe of a trial: its own networks, on its own device and data."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Batch
from kdsweep.data.base import DataInfo
from kdsweep.probing import PROBE_SAMPLES, probe_of, probed
from kdsweep.spec import TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import Probe
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.teacher import Source
from kdsweep.train.weights import load_into


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
    device = few.labels.device
    main = sources.get(MAIN_TEACHER)
    theirs = None if main is None else probed(main.teacher.network, few, info)
    return probe_of(
        probed(student, few, info),
        theirs,
        num_classes=info.num_classes,
        num_samples=num_samples,
        teachers={
            name: theirs.outputs
            if name == MAIN_TEACHER and theirs is not None
            else source.teacher.outputs(few)
            for name, source in sources.items()
        },
        new_student=lambda: catalog.model_for(trial.student, info).to(device),
        new_teacher=None if trial.teacher is None else lambda: _live_teacher(trial, info, device),
    )


def _live_teacher(trial: TrialSpec, info: DataInfo, device: torch.device) -> nn.Module:
    assert trial.teacher is not None
    network = catalog.model_for(trial.teacher.model, info)
    if trial.teacher.weights is not None:
        path = Path(trial.teacher.weights).expanduser()
        load_into(network, load_state(path), source=trial.teacher.weights)
    return network.to(device)
