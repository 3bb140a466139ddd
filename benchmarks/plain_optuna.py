"""A sweep by plain Optuna: ``plain_optuna.py SWEEP.yaml``, a side of ``sweep.py``.

``create_study`` with the two directions and its default sampler, ``study.optimize``. As many
processes as there are processors share the study through Optuna's journal file, which is how its
documentation runs trials of Python code in parallel on one machine: ``n_jobs`` are threads, which
wait for each other's interpreter where students are small. The teacher is trained first, in this
process with all processors, and loaded by each.
"""

import argparse
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import optuna
import plain_training
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from processes import cpus

from kdsweep.search.optuna_terms import suggest

STUDY = "plain"


def work(given: argparse.Namespace, worker: int) -> None:
    """Trials until the study has enough of them, or the time is up."""
    plain_training.one_thread()
    asked = plain_training.Asked(given.sweep)
    data = plain_training.load(asked.trial)
    teacher = plain_training.load_teacher(asked.trial, data, given.place / "teacher.pt")

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        drawn = asked.drawn(lambda dimension: suggest(trial, dimension))
        accuracy, params = plain_training.train_student(drawn, data, teacher)
        plain_training.note(given.events, {"accuracy": accuracy, "params": params})
        return accuracy, params

    study = optuna.load_study(
        study_name=STUDY,
        storage=_storage(given.place),
        # Two processes that draw the same numbers would try the same points.
        sampler=optuna.samplers.TPESampler(seed=given.seed + 1000 * worker),
    )
    ended = (TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING)
    study.optimize(
        objective,
        timeout=max(0.0, given.until - time.time()),
        callbacks=[MaxTrialsCallback(given.trials, states=ended)],
    )


def _storage(place: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(place / "journal.log")))


def options() -> argparse.Namespace:
    """As ``sweep.py`` calls it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=float, required=True, help="seconds since 1970")
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Train the teacher, then all processes' trials."""
    given = options()
    asked = plain_training.Asked(given.sweep)
    data = plain_training.load(asked.trial)
    plain_training.train_teacher(asked.trial, data, given.place / "teacher.pt")
    optuna.create_study(
        study_name=STUDY, storage=_storage(given.place), directions=["maximize", "minimize"]
    )
    spawned = get_context("spawn")
    workers = [spawned.Process(target=work, args=(given, n)) for n in range(cpus())]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit("a worker failed; what it said is above")


if __name__ == "__main__":
    main()
