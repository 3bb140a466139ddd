"""Every strategy of the catalog against none, at the same budget: does distillation help here?

Each row of a table is a strategy at its default settings, trained with the same student, data,
epochs, batches, optimizer and seeds as ``none``; a difference is of two trials of the same seed,
which begin with the same weights and see the same images in the same order. Those that compare
features are there a second time as extras of ``kd``, as they are mostly used. ``all labels``, and
``5 % of the labels``: of the student's, drawn by the seed; the images without one are there all the
same, for whoever learns from the teacher. Teachers are trained once, with all labels, as one that
was given would have been. Accuracy is that on the validation images after the last epoch; no
epoch and no setting of a strategy is chosen by it.

Setups (see strategy_trials.py), with their trials for five seeds:

  digits           image students on digits                                 27 rows, 270
  digits-long      three times the budget; data_free, which takes it        4 rows, 35
  digits-vit       vision transformers                                      4 rows, 40
  glyphs           image students on ten scripts, 3,000 images              18 rows, 180
  glyphs-to-names  an image teacher, a student that reads names             3 rows, 30
  names-to-glyphs  the reverse; its none is that of glyphs                  3 rows, 20

Those that compare features are there with ``kd`` on digits alone, for the time that it takes. One
seed takes, in seconds of one processor (AMD EPYC) and with both settings of labels: digits 210,
digits-long 66, digits-vit 85, glyphs 370 (reviewkd 100 of them), glyphs-to-names 24,
names-to-glyphs 21. So five seeds take 3,900 and the teachers 100: 34 minutes on two quiet cores.

Trials run one thread each in ``--processes`` processes, without Ray, and do not depend on each
other. Each result goes into ``--out`` as it comes: a run that was interrupted goes on.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import measure
import strategy_page
import strategy_runs
import strategy_tables
from processes import cpus
from strategy_runs import Log, Task
from strategy_tables import Compared
from strategy_trials import LABEL_SHARES, Job, called, jobs, remark, setups

Tables = dict[str, dict[str, list[Compared]]]
"""By the name of the setup and the labels."""


def main() -> None:
    """Run what is not yet done, then print the tables."""
    given = _options()
    chosen = [each for each in setups() if given.data in (None, each.data["name"])]
    asked = list(jobs(chosen, seeds=given.seeds, only=given.only))
    if not asked:
        raise SystemExit("no setup has such a strategy: see --only and --data")
    log = Log(given.out)
    try:
        strategy_runs.run(
            [_task(job) for job in asked],
            log,
            teachers=given.out.with_suffix(".teachers"),
            processes=given.processes,
        )
    except (KeyboardInterrupt, BrokenProcessPool) as error:
        # Of a Ctrl-C the workers may have heard first.
        what = "interrupted" if isinstance(error, KeyboardInterrupt) else "a process was ended"
        raise SystemExit(f"\n{what}: the same command goes on from {given.out}") from None
    tables = _tables(asked, log)
    for setup in chosen:
        own = [job for job in asked if job.setup.name == setup.name]
        for labels, compared in tables.get(setup.name, {}).items():
            print(f"\n{setup.title}, {strategy_tables.LABELS[labels]}")
            print(f"{strategy_page.described(setup, own, log)}\n")
            _print(compared)
    every = [compared for by_labels in tables.values() for compared in by_labels.values()]
    print(f"\n{strategy_tables.summary(every)}")
    if given.markdown is not None:
        for data in dict.fromkeys(setup.data["name"] for setup in chosen):
            own = [each for each in chosen if each.data["name"] == data]
            jobs_of_it = [job for job in asked if job.setup in own]
            found = {each.name: tables[each.name] for each in own if each.name in tables}
            text = strategy_page.page(_command(given), own, jobs_of_it, found, log)
            strategy_page.fill(given.markdown, data, text)
    lines = {key: log.by_key[key] for key in (_task(job).key for job in asked)}
    measure.report(given, {"tables": _plain(tables), "trials": list(lines.values())})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    rows = {called(row) for setup in setups() for row in setup.rows}
    names = sorted({name for row in rows for name in row.split(" + ")})
    data = sorted({setup.data["name"] for setup in setups()})
    parser.add_argument(
        "--out", type=Path, default=Path("strategies.jsonl"), metavar="FILE",
        help="the results; teachers are kept beside it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5, help="of every row (default: %(default)s)")
    parser.add_argument(
        "--only", nargs="+", default=[], choices=names, metavar="NAME",
        help="these strategies, alone and with kd, and none",
    )  # fmt: skip
    parser.add_argument("--data", choices=data, help="the setups of one data set")
    parser.add_argument(
        "--processes", type=int, default=cpus(), help="at a time (default: %(default)s)"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE",
        help="put the tables of each data set between its marks in here",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all numbers here")
    given = parser.parse_args()
    if given.seeds < 1 or given.processes < 1:
        parser.error("--seeds and --processes must be 1 or more")
    given.load = os.getloadavg()[0]
    return given


def _command(given: argparse.Namespace) -> str:
    """As it would be typed, but for where its files go."""
    words = ["uv run python benchmarks/strategies.py"]
    words += [f"--seeds {given.seeds}", f"--processes {given.processes}"]
    words += [f"--data {given.data}"] if given.data else []
    words += [f"--only {' '.join(given.only)}"] if given.only else []
    return " ".join(words)


def _task(job: Job) -> Task:
    labels = strategy_tables.LABELS[job.labels]
    return Task(f"{job.setup.name}, {labels}: {job.row}, seed {job.seed}", "trial", job.trial)


def _tables(asked: Sequence[Job], log: Log) -> Tables:
    found: Tables = {}
    for setup in {job.setup.name: job.setup for job in asked}.values():
        remarks = {called(row): remark(row) for row in setup.rows}
        for labels in LABEL_SHARES:
            own = [job for job in asked if (job.setup.name, job.labels) == (setup.name, labels)]
            rows: dict[str, dict[int, float]] = {job.row: {} for job in own}
            for job in own:
                line = log.by_key[_task(job).key]
                if line["status"] == "complete":
                    rows[job.row][job.seed] = 100 * line["accuracy"]
            seeds = len({job.seed for job in own})
            compared = strategy_tables.compare(rows, remarks, seeds=seeds)
            found.setdefault(setup.name, {})[labels] = compared
    return found


def _print(compared: Sequence[Compared]) -> None:
    rows = [(each.row, *each.cells, each.verdict if each.cells[2] else "") for each in compared]
    measure.table(("strategy", "accuracy", "minus none", "95 % interval", ""), rows)
    print("\n".join(["", *strategy_tables.sentences(compared)]))


def _plain(tables: Tables) -> list[dict[str, Any]]:
    return [
        {
            "setup": setup,
            "labels": labels,
            "strategy": each.row,
            "seeds": each.seeds,
            "accuracies": each.accuracies,
            "differences": each.differences,
            "interval": each.interval,
        }
        for setup, by_labels in tables.items()
        for labels, compared in by_labels.items()
        for each in compared
    ]


if __name__ == "__main__":
    main()
