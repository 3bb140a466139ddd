"""The export of a student: a folder that is there whole, checked, or not at all."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from kdsweep import catalog
from kdsweep.data.base import Splits
from kdsweep.errors import ResultError, SpecError
from kdsweep.export import files, onnx_file, tracing
from kdsweep.export.card import CARD, Card, card_json
from kdsweep.export.checking import (
    Quality,
    Runner,
    Tally,
    ready,
    refuse_disagreement,
    refuse_nonsense,
    tallied,
)
from kdsweep.export.confirmed import trained_again
from kdsweep.export.files import Format, Written
from kdsweep.export.inputs import Contract, contract_of, deployed, splits_of
from kdsweep.export.readme import readme
from kdsweep.export.speed import BRIEFLY, timed_runner
from kdsweep.export.student import Student, student_of
from kdsweep.export.taught import taught
from kdsweep.models.latency import Patience
from kdsweep.results.confirmations import best_first, confirmations_of
from kdsweep.results.names import TRIAL_FILE
from kdsweep.results.places import refuse_link
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.results.trial_file import trial_file
from kdsweep.storage.atomic import sync_directory, unfinished
from kdsweep.storage.copies import address_of

FOLDER, README, TOKENIZER = "export", "README.md", "tokenizer.json"
_LONGEST_RUN = 60


@dataclass(frozen=True)
class Asked:
    """What an export is to have.

    ``out`` is the folder to make, by default one for the trial in the run; ``point`` is the result
    of the trial's point, where that has several trials; ``patience`` is how long each file is
    timed.
    """

    formats: tuple[Format, ...]
    int8: bool = False
    out: Path | None = None
    licence: str = ""
    force: bool = False
    point: TrialResult | None = None
    patience: Patience = BRIEFLY


@dataclass(frozen=True)
class Exported:
    """What was made: its folder and its card."""

    folder: Path
    card: Card


def folder_of(store: RunStore, result: TrialResult, asked: Asked) -> Path:
    """Where an export goes by default: ``RUN/export/digits-00005-onnx``.

    Of a run at an address it is made where one works.
    """
    run = re.sub(r"[^A-Za-z0-9.+=_-]+", "-", store.meta.name).strip("-.")[:_LONGEST_RUN]
    kinds = [*asked.formats, *(["int8"] if asked.int8 else [])]
    name = "-".join([*([run] if run else []), result.trial_id, *kinds])
    if address_of(store.directory) is not None:
        return Path(FOLDER) / name
    refuse_link(store.directory / FOLDER)
    return store.directory / FOLDER / name


def export_student(
    store: RunStore,
    result: TrialResult,
    asked: Asked,
    tell: Callable[[str], object] = lambda sentence: None,
) -> Exported:
    """Export the student of ``result``, which may be that of a whole point.

    Every file is loaded back and asked for the whole validation split, and must say what the
    student says; that is not so of int8, whose accuracy is measured. ``tell`` hears of each step.

    Raises:
        ResultError: the student cannot be had or exported, its data are not here, a file disagrees
            with it, or ``asked.out`` is there already. Nothing is left then.
        StorageError: its weights are in an object store that does not answer.
    """
    out = asked.out or folder_of(store, result, asked)
    _refuse_what_is_there(out, force=asked.force)
    if "onnx" in asked.formats:
        onnx_file.check_installed()
    student = student_of(store, result)
    splits = splits_of(student.trial)
    contract = contract_of(student, splits)
    tell(f"trial {result.number} ({result.label}): tracing the network")
    program = tracing.traced(deployed(student.network, contract), contract)
    with _made(out, force=asked.force) as folder:
        runners: dict[str, Runner] = {}
        for format in asked.formats:
            name = files.OF_FORMAT[format]
            tell(f"{name}: written, and loaded back")
            runners[name] = files.write(
                student.network, program, contract, format,
                folder=folder, num_classes=splits.info.num_classes,
            )  # fmt: skip
        if asked.int8:
            tell(f"{files.INT8}: quantised on training samples")
            runners[files.INT8] = files.write_int8(
                student.network, splits.train, contract, folder=folder
            )
        tell(f"checking on {splits.validation.num_samples:,} validation samples")
        quality, tallies = _checked(student.network, splits, contract, runners)
        tell("timing each file, with one input at once and with many")
        written = [
            _written(name, runner, tallies[name], contract, folder, asked.patience)
            for name, runner in runners.items()
        ]
        card = _card(store, result, student, splits, contract, quality, written, asked)
        (folder / TRIAL_FILE).write_text(trial_file(result), encoding="utf-8")
        if contract.name == "tokens" and (tokenizer := _tokenizer(student)) is not None:
            (folder / TOKENIZER).write_bytes(tokenizer)
        (folder / README).write_text(
            readme(card, has_tokenizer=(folder / TOKENIZER).exists()), encoding="utf-8"
        )
        (folder / CARD).write_bytes(card_json(card, folder))
    return Exported(out, card)


def _checked(
    network: nn.Module,
    splits: Splits,
    contract: Contract,
    runners: dict[str, Runner],
) -> tuple[Quality, dict[str, Tally]]:
    quality, tallies = tallied(network, splits.validation, contract, runners)
    for name, tally in tallies.items():
        refuse = refuse_nonsense if name == files.INT8 else refuse_disagreement
        refuse(name, tally)
    return quality, tallies


def _written(
    name: str, runner: Runner, tally: Tally, contract: Contract, folder: Path, patience: Patience
) -> Written:
    path = folder / name
    return Written(
        name=name,
        sha256=files.digest(path),
        num_bytes=path.stat().st_size,
        blank=tuple(ready(runner, contract)[0].tolist()),
        quality=tally.quality,
        agreement=tally.agreement,
        latency=timed_runner(runner, contract, patience),
        code=files.CODE if name == files.WEIGHTS else None,
    )


def _card(
    store: RunStore,
    result: TrialResult,
    student: Student,
    splits: Splits,
    contract: Contract,
    quality: Quality,
    written: list[Written],
    asked: Asked,
) -> Card:
    data = catalog.dataset(student.trial.data)
    teacher = taught(store.meta, store.read(), result)
    again = trained_again(best_first(confirmations_of(store)), result, teacher)
    return Card(
        meta=store.meta, result=result, trial=student.trial, info=splits.info,
        contract=contract, quality=quality, written=tuple(written), licence=asked.licence,
        source=data.source, preparation=data.preparation, point=asked.point,
        confirmed=again, taught=teacher,
    )  # fmt: skip


def _tokenizer(student: Student) -> bytes | None:
    try:
        return catalog.dataset(student.trial.data).tokenizer_file()
    except SpecError as error:
        raise ResultError(error.problems) from error


def _refuse_what_is_there(out: Path, *, force: bool) -> None:
    refuse_link(out)
    if not os.path.lexists(out):
        return
    if not (out / CARD).is_file():
        raise ResultError(
            f"is there already, and is no export (it has no {CARD}): give another with --out",
            source=out,
        )
    if not force:
        raise ResultError(
            "is there already: --force (in Python force=True) replaces it, --out DIR (out=DIR) "
            "writes another",
            source=out,
        )


@contextmanager
def _made(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder that gets its name when it is whole; what had the name goes then."""
    new, old = unfinished(out), unfinished(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
    except OSError as error:
        raise ResultError(f"cannot be written: {error.strerror}", source=out) from error
    try:
        yield new
        if force and out.exists():
            os.replace(out, old)
        os.rename(new, out)
        sync_directory(out.parent)
    except OSError as error:
        raise ResultError(f"cannot be written: {error}", source=out) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
