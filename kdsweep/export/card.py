"""What is known of an exported student, for people and for programs."""

import json
import math
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kdsweep import __version__
from kdsweep.data.base import DataInfo
from kdsweep.export.checking import Quality
from kdsweep.export.confirmed import TrainedAgain, said_of
from kdsweep.export.files import INT8, ONNX, Written, digest
from kdsweep.export.inputs import Contract
from kdsweep.export.speed import here
from kdsweep.export.taught import Taught
from kdsweep.report.labels import strategy_label
from kdsweep.results.confirmation import TEST_ACCURACY
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import deviation
from kdsweep.spec import TrialSpec

CARD = "card.json"
SCHEMA_VERSION = 1
_PACKAGES = ("torch", "torchvision", "safetensors", "onnx", "onnxscript", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Card:
    """An exported student: its trial, what it takes and gives, and each file that was written.

    ``quality`` is that of the student itself in PyTorch, on the validation split as it is here.
    """

    meta: RunMeta
    result: TrialResult
    trial: TrialSpec
    info: DataInfo
    contract: Contract
    quality: Quality
    written: tuple[Written, ...]
    licence: str
    source: str
    preparation: str
    point: TrialResult | None = None
    """Where the trial is one of several of its point: the result of the point."""
    confirmed: tuple[TrainedAgain, ...] = ()
    """What confirmations of the sweep say of it."""
    taught: Taught = field(default_factory=Taught)

    def file(self, name: str) -> Written | None:
        """What was found of a file, by its name."""
        return next((each for each in self.written if each.name == name), None)

    @property
    def num_trials(self) -> int:
        """Trials that the metrics are the mean of."""
        return len(self.result.trial_ids)


def notes(card: Card) -> list[str]:
    """What whoever uses the files should know, a sentence each, with the numbers."""
    said = []
    recorded = card.result.metrics.get("accuracy")
    here_now, num = card.quality.accuracy, card.quality.samples
    if recorded is not None and card.num_trials == 1 and abs(recorded - here_now) * num > 0.5:
        said.append(
            f"measured again the student's accuracy on validation data is {here_now:.2%}, and its "
            f"record says {recorded:.2%}: it was trained in another precision, or the data have "
            "changed"
        )
    return [*said, *int8_notes(card)]


def int8_notes(card: Card) -> list[str]:
    """What int8 costs and gains against the float file, a sentence each, with the numbers."""
    small, whole = card.file(INT8), card.file(ONNX)
    if small is None or whole is None:
        return []
    said = [_int8_accuracy(small, whole), _int8_size(small, whole), *_int8_times(small, whole)]
    pairs = zip(small.latency, whole.latency, strict=True)
    if all(one.p50_ms > other.p50_ms for one, other in pairs):
        said.append(
            "so int8 gains no time here: to turn numbers into 8 bits and back takes longer than "
            "it saves in this network on this processor"
        )
    return said


def _int8_accuracy(small: Written, whole: Written) -> str:
    points = 100 * (small.quality.accuracy - whole.quality.accuracy)
    word = "as accurate as" if abs(points) < 0.005 else (
        f"{abs(points):.2f} percentage points {'more' if points > 0 else 'less'} accurate than"
    )  # fmt: skip
    return (
        f"accuracy: int8 is {word} float, {small.quality.accuracy:.2%} against "
        f"{whole.quality.accuracy:.2%} of {small.quality.samples:,} validation samples"
    )


def _int8_size(small: Written, whole: Written) -> str:
    share = small.num_bytes / max(whole.num_bytes, 1)
    word = f"{1 - share:.0%} smaller" if share < 0.995 else (
        "no smaller: beside so few weights the scales and the graph weigh more"
    )  # fmt: skip
    return f"size: int8 is {word}, {small.num_bytes:,} bytes against {whole.num_bytes:,}"


def _int8_times(small: Written, whole: Written) -> list[str]:
    said = []
    for one, other in zip(small.latency, whole.latency, strict=True):
        ratio = other.p50_ms / max(one.p50_ms, 1e-9)
        inputs = f"{one.batch} input{'s' * (one.batch > 1)} at once"
        word = f"{ratio:.2f} times as fast as float" if ratio > 1 else (
            f"slower than float, it takes {1 / max(ratio, 1e-9):.2f} times as long"
        )  # fmt: skip
        said.append(
            f"speed: with {inputs} int8 is {word}, {one.p50_ms:.4g} ms against "
            f"{other.p50_ms:.4g} ms (p50, this processor)"
        )
    return said


def card_json(card: Card, folder: Path) -> bytes:
    """The card for programs; ``folder`` has all other files by now, whose hashes it lists."""
    others = sorted(path for path in folder.iterdir() if path.name != CARD)
    known = {each.name for each in card.written}
    said = {
        "schema_version": SCHEMA_VERSION,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": {"kdsweep": __version__, "python": platform.python_version(), **_packages()},
        "sweep": {"name": card.meta.name, "sweep_id": card.meta.sweep_id},
        "trial": _trial(card),
        "data": {
            "name": card.trial.data.name,
            "source": card.source,
            "preparation": card.preparation,
            "num_classes": card.info.num_classes,
            "class_names": list(card.info.class_names),
        },
        "teacher": teacher_said(card),
        "input": input_said(card.contract),
        "output": {"name": "logits", "dtype": "float32", "shape": ["N", card.info.num_classes]},
        "metrics": metrics_said(card.result),
        "point": None if card.point is None else metrics_said(card.point),
        "confirmed": [said_of(each) for each in card.confirmed],
        "checked": {
            "split": "validation",
            "learned_from_it": card.trial.with_validation,
            "student": asdict(card.quality),
        },
        "networks": [_network(each) for each in card.written],
        "notes": notes(card),
        "licence": card.licence or None,
        "files": {
            path.name: {"sha256": digest(path), "bytes": path.stat().st_size}
            for path in others
            if path.name not in known
        }
        | {each.name: {"sha256": each.sha256, "bytes": each.num_bytes} for each in card.written},
    }
    return json.dumps(said, indent=1, allow_nan=False).encode() + b"\n"


def metrics_said(result: TrialResult) -> dict[str, dict[str, Any]]:
    """Each metric of a result, its deviation over replicates, of how many, and of which data."""
    return {
        name: {
            "value": value,
            "deviation": deviation(result, name),
            "split": split_of(name),
            "trials": len(result.trial_ids),
        }
        for name, value in result.metrics.items()
        if math.isfinite(value)
    }


def split_of(metric: str) -> str | None:
    """Which data a metric was measured on; none of sizes and times."""
    on_test = metric.removeprefix("test_")
    if on_test not in ("accuracy", "loss"):
        return None
    return "validation" if on_test == metric else "test"


def teacher_said(card: Card) -> dict[str, Any]:
    """The trial's teachers by name; of the first also how good it is."""
    said: dict[str, Any] = {}
    for name, teacher in card.trial.all_teachers.items():
        said[name] = {"model": teacher.model.model_dump(mode="json"), "weights": teacher.weights}
    known, metrics = card.meta.teacher, card.taught.metrics
    if metrics and said:
        params = metrics.get("params")
        next(iter(said.values())).update(
            validation_accuracy=metrics.get("accuracy"),
            test_accuracy=metrics.get(TEST_ACCURACY),
            params=None if params is None else int(params),
            hash=known.hash if known is not None and card.taught.is_of_sweep else None,
        )
    return said


def input_said(contract: Contract) -> dict[str, Any]:
    """What goes in, as programs read it."""
    given = contract.normalisation
    return {
        "name": contract.name,
        "dtype": str(contract.dtype).removeprefix("torch."),
        "shape": ["N", *contract.sizes],
        "normalisation": None if given is None else {
            "where": "in the network", "mean": list(given.mean), "std": list(given.std),
            "of_pixels_in": [0, 1],
        },
    }  # fmt: skip


def _trial(card: Card) -> dict[str, Any]:
    result = card.result
    return {
        "trial_id": result.trial_id,
        "trial_ids": list(result.trial_ids),
        "number": result.number,
        "name": result.label,
        "role": result.role,
        "status": result.status,
        "student": card.trial.student.model_dump(mode="json"),
        "strategy": card.trial.strategy.model_dump(mode="json"),
        "strategy_label": strategy_label(result),
        "device": result.device,
        "computed": result.computed,
    }


def _network(written: Written) -> dict[str, Any]:
    return {
        "file": written.name,
        "code": written.code,
        "split": "validation",
        "accuracy": written.quality.accuracy,
        "loss": written.quality.loss,
        "agreement": asdict(written.agreement),
        "latency": here(written.latency).model_dump(mode="json"),
        "logits_of_a_blank_input": [v if math.isfinite(v) else None for v in written.blank],
    }


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
