"""A sweep of two small students, and its run directory as a test wants it."""

import uuid

from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore

SWEEP = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 4, stages: 2, hidden: 12}, train: {epochs: 1}}
  student: {name: cnn, width: 2, stages: 2, hidden: 12}
  strategy: {name: kd, temperature: 2.0, alpha: 0.5}
  train: {epochs: 2, batch_size: 256}
space:
  student.width: {choice: [2, 4]}
search: {trials: 2}
tracking: {enabled: false}
"""


def store_of(home, **meta):
    given = {
        "sweep_id": uuid.uuid4().hex,
        "name": "small",
        "created": "2026-11-21T10:00:00+00:00",
        "objectives": {"accuracy": "max", "params": "min"},
        **meta,
    }
    return RunStore.create(home / "runs" / "small", meta=RunMeta(**given), sweep_text=SWEEP)


def files_in(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
