"""A sweep for notebooks and scripts: its trials as tables, its front, its students as networks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kdsweep.errors import ResultError, SpecError, printable
from kdsweep.notebook.choice import StudentChoice
from kdsweep.notebook.confirmed import confirmation_table
from kdsweep.notebook.files import export_to_folder, write_report
from kdsweep.notebook.finding import find_trial
from kdsweep.notebook.given import check_asked, device_given, path_given
from kdsweep.notebook.html import sweep_html, sweep_words
from kdsweep.notebook.plots import Plots
from kdsweep.notebook.tables import epoch_table, importance_table, trial_table, warn_of
from kdsweep.report.choosing import Asked, choose
from kdsweep.report.picture_files import space_or_none
from kdsweep.report.pictures import PICTURES, Importance, SweepView
from kdsweep.report.run_table import run_row
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.meta import RunMeta, TeacherMeta
from kdsweep.results.names import SWEEP_FILE
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.select import Prefer
from kdsweep.results.store import RunStore

if TYPE_CHECKING:
    import torch
    from torch import nn

    from kdsweep.data.base import Splits


class Sweep:
    """A sweep as it was when it was loaded or last reloaded; ``kdsweep.load`` makes it.

    Tables are of pandas, each time a copy of one's own. Trials are named by their number, their id,
    a row of a table, or a choice.
    """

    def __init__(self, run: str | os.PathLike[str]) -> None:
        self._run = path_given(run, what="run", example="runs/digits")
        self._read()

    def reload(self) -> "Sweep":
        """Read the sweep again, as of one that still runs; it is the same object.

        Raises:
            ResultError: the run is gone, or its store does not answer.
        """
        self._read()
        return self

    def _read(self) -> None:
        """All records once; everything else follows from these, so that it is of one moment."""
        store = RunStore.open(run_at_hand(self._run))
        results = store.read()
        meta = store.meta
        self._store, self._results = store, results
        self._front = front_of(results, meta.objectives, constraints=meta.constraints)
        self._row = run_row(store, results, self._front)
        self._ids_on_front = {i for result in self._front for i in result.trial_ids}
        warn_of(store.problems)

    @property
    def name(self) -> str:
        """What the sweep is called."""
        return self.meta.name

    @property
    def place(self) -> str:
        """Its run directory, or its address in an object store."""
        return self._store.place

    @property
    def status(self) -> str:
        """``running``, ``complete``, ``stopped`` or ``failed``; ``died`` where nobody drives it."""
        return str(self._row["status"])

    @property
    def meta(self) -> RunMeta:
        """The sweep as a whole: objectives, sampler, versions, what it has cost."""
        return self._store.meta

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with records that are left out, a sentence each."""
        return self._store.problems

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial, controls among them, under its number; teachers are not among them.

        Metrics are on validation data. What the search set has a column for each dotted path, as
        ``student.width``, missing where a trial has no such setting.
        """
        return self._tabled([each for each in self._results if each.role != "teacher"])

    @property
    def front(self) -> pd.DataFrame:
        """The front in the columns of ``trials``, smallest first; of replicates their mean."""
        return self._tabled(self._front)

    @property
    def epochs(self) -> pd.DataFrame:
        """The learning curves in long form: a row for each epoch of each trial."""
        return epoch_table(each for each in self._results if each.role != "teacher")

    @property
    def teacher(self) -> TeacherMeta | None:
        """The teacher of the trial, its accuracy and sizes; none where there is none (yet)."""
        return self.meta.teacher

    @property
    def teachers(self) -> pd.DataFrame:
        """All teachers in the columns of ``trials``, under their ids."""
        table = self._tabled([each for each in self._results if each.role == "teacher"])
        return table.set_index("trial_id").drop(columns="on_front")

    @property
    def importance(self) -> pd.DataFrame:
        """How much each setting decides who is among the best: a row per objective and setting.

        ``share`` adds to one, ``chance`` is what shuffled outcomes reach in one of twenty; both
        are missing where too few ``students`` have the setting. Sizes are no objective here: see
        ``kdsweep.search.importance``. Of an objective without rows a warning, and
        ``attrs["missing"]``, say why.
        """
        return importance_table(self._importance())

    @property
    def plot(self) -> Plots:
        """The pictures, as figures of Plotly: ``plot.front()``; ``dir(plot)`` has their names."""
        return Plots(self._view, place=self.place)

    @property
    def confirmations(self) -> pd.DataFrame:
        """What confirmations beside the sweep have found: a row for each student and control.

        They are looked for each time: see ``kdsweep confirm``.
        """
        return confirmation_table(self._store)

    def trial(self, trial: Any) -> TrialResult:
        """The whole record of a trial.

        Raises:
            ResultError: there is no such trial.
        """
        if isinstance(trial, StudentChoice) and trial.place != self.place:
            raise ResultError(
                f"the choice is of another run, {trial.place}: its trial is asked for there",
                source=self.place,
            )
        return find_trial(self._results, trial, source=self.place)

    def select(
        self,
        *,
        max_params: float | None = None,
        max_macs: float | None = None,
        max_size_kb: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
        within: float | None = None,
        prefer: Prefer = "accuracy",
        ignore_constraints: bool = False,
    ) -> StudentChoice:
        """Choose the best student that fits the limits, as ``kdsweep select`` does.

        ``within`` is how far below the teacher's accuracy it may be.

        Raises:
            NoStudentFits: none does; says which limit to relax, and by how much.
            ResultError: a limit or a preference is not allowed, or the teacher is not known.
        """
        check_asked(
            prefer,
            {"max_params": max_params, "max_macs": max_macs, "max_size_kb": max_size_kb,
             "max_latency_ms": max_latency_ms},
            {"min_accuracy": min_accuracy, "within": within},
        )  # fmt: skip
        asked = Asked(
            max_params=max_params, max_macs=max_macs, max_size_kb=max_size_kb,
            max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within,
            prefer=prefer, ignore_constraints=ignore_constraints,
        )  # fmt: skip
        found = choose(self._store, self._results, asked)
        return StudentChoice(found, place=self.place, tabled=self._tabled)

    def student(self, trial: Any, *, device: "str | torch.device" = "cpu") -> "nn.Module":
        """The student of a trial with its weights, in evaluation mode, on ``device``.

        It takes what its exports take: uint8 pixels ``[N, D, H, W]`` (0 to 255, the normalisation
        is within), or int64 ids ``[N, S]`` of tokens; it gives logits ``[N, C]``. Its ``network``
        is the student alone, which takes what ``data`` gives.

        Raises:
            ResultError: there is no such trial, its weights are not kept, it cannot be built, or
                its data, which the normalisation is of, cannot be read. The network raises it too
                where floats are given in place of pixels.
        """
        from kdsweep.export.inputs import as_exported
        from kdsweep.export.student import student_of

        where = device_given(device)
        return as_exported(student_of(self._store, self.trial(trial))).to(where)

    def data(self, trial: Any, *, device: "str | torch.device" = "cpu") -> "Splits":
        """The data of a trial, split and normalised: what ``student(trial).network`` takes.

        Raises:
            ResultError: there is no such trial, or its record cannot be used.
            SpecError: the data are not where the trial says.
        """
        from kdsweep import catalog
        from kdsweep.export.student import trial_of

        trial_spec = trial_of(self._store, self.trial(trial))
        return catalog.dataset(trial_spec.data).load(device_given(device))

    def export(
        self,
        trial: Any,
        format: str | Sequence[str] = "onnx",
        *,
        int8: bool = False,
        out: str | os.PathLike[str] | None = None,
        licence: str = "",
        force: bool = False,
    ) -> Path:
        """Write a student as files that run without kdsweep, as ``kdsweep export``; their folder.

        Raises:
            ResultError: it cannot be exported, a file disagrees with it, or ``out`` is there
                already and ``force`` is not given. Nothing is left then.
        """
        return export_to_folder(
            self._store, self._results, self.trial(trial), format,
            int8=int8, out=out, licence=licence, force=force,
        )  # fmt: skip

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write what the sweep has found as one page, as ``kdsweep report``; where it is.

        Raises:
            ResultError: it cannot be written there.
        """
        return write_report(self._store, self._results, self._front, self._importance(), path)

    def _tabled(self, results: Sequence[TrialResult]) -> pd.DataFrame:
        return trial_table(results, on_front=self._ids_on_front)

    def _in_words(self) -> str:
        return sweep_words(self._row, len(self._front))

    def __repr__(self) -> str:
        return printable(f"Sweep {self.name}: {self._in_words()} ({self.place})")

    def _repr_html_(self) -> str:
        png = PICTURES["front"].png(self._view("front")) if self._front else None
        return sweep_html(
            self.name, self._in_words(), self._front, self.meta.objectives,
            front_png=png, place=self.place,
        )  # fmt: skip

    def _view(self, picture: str) -> SweepView:
        importance = self._importance() if picture == "importance" else None
        space = space_or_none(self._store) if picture == "coordinates" else None
        return SweepView(self.meta, tuple(self._results), tuple(self._front), importance, space)

    def _importance(self) -> Importance:
        # Of Optuna and torch, which take seconds.
        from kdsweep.search.importance import importance_of
        from kdsweep.sweep_file.space import space_of

        try:
            space = space_of(self._store.sweep_text)
        except SpecError as error:
            raise ResultError(error.problems, source=f"{self.place}/{SWEEP_FILE}") from None
        return importance_of(self._results, space, self.meta.objectives)
