"""``kdsweep check``: every mistake of a file, or what it would run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kdsweep.cli import check_computing, check_stored, check_students, check_warm_start
from kdsweep.cli.check_data import data_of, data_words, seen_by_teachers
from kdsweep.cli.own_code import own_code_lines
from kdsweep.cli.place import results_at, taken
from kdsweep.cli.saying import meanwhile, say
from kdsweep.cli.wrapped import wrapped, wrapped_beside
from kdsweep.results.at_hand import file_at_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kdsweep.sweep_file import Plan, Sweep
    from kdsweep.sweep_file.pairs import Pairing
    from kdsweep.sweep_file.plan import Resources

_SHOWN_CLASHES = 4
_LANE = "a lane trains one trial at a time"
_NEXT_LINE = "\n" + " " * 14


def check(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", parser=file_at_hand, help="A sweep file or trial file (YAML)."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="Do not look for data and weights: they are elsewhere."),
    ] = False,
) -> None:
    """Report every mistake in a sweep file, or say what it would run.

    Nothing is trained, and nothing is written (but data with download: true are
    fetched). Each end of each range and each choice is put into the trial and
    checked, each network is built to see whether it takes the inputs, and each
    strategy for each pair of networks, to see whether it suits them. Of what teachers
    say it shows what is kept on disk, and what that takes.
    Of the file of one trial it says what would be trained.

    \b
    Examples:
      kdsweep check search_spaces/digits.yaml
      kdsweep check runs/digits/trials/00007/trial.yaml
      kdsweep check search_spaces/digits.yaml --json
      kdsweep check search_spaces/cifar100.yaml --elsewhere
    """
    meanwhile("loading PyTorch")
    from kdsweep.cli import check_trial
    from kdsweep.sweep_file import check_trial_file, load, load_for_elsewhere, plan

    trial = check_trial_file(file, elsewhere=elsewhere)
    if trial is not None:
        data, lines = check_trial.as_data(trial), check_trial.as_text(trial)
    else:
        sweep = load_for_elsewhere(file) if elsewhere else load(file)
        planned = plan(sweep)
        warm = None if elsewhere else check_warm_start.of(sweep)
        data, lines = as_data(sweep, planned), as_text(sweep, planned)
        data["warm_start"] = check_warm_start.as_data(warm)
        lines += check_warm_start.as_text(sweep, warm)
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        return
    say("\n".join(lines))
    if elsewhere:
        typer.echo("  files       data and weights were not looked for")


def as_data(sweep: "Sweep", plan: "Plan") -> dict[str, object]:
    """The plan as plain data."""
    from kdsweep.catalog import own_code
    from kdsweep.sweep_file.read import parse_yaml

    planned = asdict(plan)
    for key, student in (("smallest", plan.smallest), ("largest", plan.largest)):
        planned[key]["component"] = student.component.model_dump(mode="json")
    return {
        "file": str(sweep.path),
        "name": sweep.spec.name,
        "results": results_at(sweep),
        "objectives": dict(sweep.spec.objectives),
        "sampler": sweep.sampler.name,
        "sampler_why": sweep.sampler.why,
        "total": plan.total,
        "data": data_of(sweep.info, sweep.fitting.survey(sweep.spec.trial)),
        "normalisation": seen_by_teachers(sweep),
        "clashes": list(sweep.pairing.clashes),
        "outputs": check_stored.as_data(sweep.outputs),
        "computing": _computing(sweep, plan),
        "own_code": own_code(parse_yaml(sweep.text)[0]),
        **planned,
    }


def as_text(sweep: "Sweep", plan: "Plan") -> list[str]:
    """The plan in lines of at most 80 columns, long names apart."""
    from kdsweep.report.labels import key_of_names
    from kdsweep.sweep_file import lacking_a_gpu, resolved
    from kdsweep.sweep_file.read import parse_yaml

    spec, paths = sweep.spec, {dimension.path for dimension in sweep.space.dimensions()}
    survey = sweep.fitting.survey(spec.trial)
    times = f"{plan.replicates} replicates of " if plan.replicates > 1 else ""
    objectives = ", ".join(f"{metric} {way}" for metric, way in spec.objectives.items())
    lines = [
        f"{sweep.path}: good",
        f"  sweep       {spec.name}",
        f"  data        {data_words(spec.trial.data, sweep.info, survey)}",
        f"  teacher     {plan.teacher.replace('; ', _NEXT_LINE)}",
        *(f"              {each}" for each in seen_by_teachers(sweep)),
        f"  space       {_counted(plan.num_dimensions, 'dimension')}, "
        f"{plan.num_conditional} of them conditional",
        *check_students.lines(plan.smallest, plan.largest),
        f"  objectives  {objectives}",
        f"  trials      {_trials(plan, times, sweep.sampler.name)} + {_controls(plan)}",
        f"  names       such as {key_of_names(resolved(spec.trial), paths)}",
        f"  sampler     {sweep.sampler.name}: {sweep.sampler.why}",
        *([f"  budget      {budget_words(sweep)}"] if spec.search.budget is not None else []),
        f"  rungs       {rung_words(sweep, plan)}",
    ]
    lines += bound_lines(sweep, some=True)
    lines += check_stored.as_text(sweep.outputs)
    lines += clash_lines(sweep.pairing)
    if plan.grid_points_left_out:
        lines.append(
            f"              {plan.grid_points_left_out} points of the grid are left out: "
            "raise search.trials"
        )
    lines += [
        *_resource_lines(plan.resources, spec.cluster.address),
        f"  computing   {_computing(sweep, plan)}",
        *(f"              {each}" for each in lacking_a_gpu(sweep, plan.resources)),
    ]
    # Whoever looks for "FILE: good" finds it on one line, however long the path is.
    first, *rest = lines
    fitted = [part for line in rest for each in line.split("\n") for part in wrapped_beside(each)]
    own = own_code_lines(parse_yaml(sweep.text)[0])
    return [first, *fitted, *own, *wrapped(f"{results_at(sweep)}{taken(sweep)}", "results")]


def _computing(sweep: "Sweep", plan: "Plan") -> str:
    """As settled for the students at both ends, or as asked for where the machine is another."""
    from kdsweep.sweep_file import computing_words

    train, resources = sweep.spec.trial.train, plan.resources
    if resources.machine is None:
        return computing_words(train)
    students = {"smallest student": plan.smallest.component, "largest": plan.largest.component}
    gpu = bool(resources.gpus_per_worker)
    return check_computing.in_words(train, students, sweep.info, gpu=gpu)


def _trials(plan: "Plan", times: str, sampler: str) -> str:
    if plan.num_trials is None:
        return f"as many as the budget allows, {times}each by {sampler},"
    return f"{plan.total}: {times}{plan.num_trials} by {sampler}"


def budget_words(sweep: "Sweep") -> str:
    """What the sweep may spend: ``8 hours, 500 epochs of students (25 whole trials)``."""
    budget, price = sweep.spec.search.budget, sweep.spec.cluster.cost_per_hour
    assert budget is not None
    said = []
    if budget.hours is not None:
        said.append(f"{budget.hours:g} hour{'s' * (budget.hours != 1)} from the command on")
    if budget.epochs is not None:
        epochs, replicates = sweep.spec.trial.train.epochs, sweep.spec.search.replicates
        num = budget.epochs // (epochs * replicates)
        whole = _counted(num, "whole trial" if replicates == 1 else "point")
        whole += f" of {replicates} whole trials" if replicates > 1 else ""
        said.append(f"{budget.epochs:,} epochs of students ({whole})")
    said += [] if budget.cost is None else [f"{budget.cost:g} in money at {price:g} an hour"]
    return ", ".join(said)


def epochs_in_words(epochs: "Sequence[int]") -> str:
    """``3, 9 and 27``."""
    *others, last = map(str, epochs)
    return f"{', '.join(others)} and {last}" if others else last


def _epochs(epochs: "Sequence[int]") -> str:
    said = epochs_in_words(epochs)
    return f"epochs {said} are" if len(epochs) > 1 else f"epoch {said} is"


def schedules_of(sweep: "Sweep") -> set[str]:
    """Epochs and schedule of the trials at the ends of the space."""
    from kdsweep.sweep_file import at_corners

    trains = (trial.train for trial in at_corners(sweep))
    return {f"{train.epochs} {train.schedule.model_dump_json()}" for train in trains}


def rung_words(sweep: "Sweep", plan: "Plan") -> str:
    """Where trials may end early, or why they do not."""
    from kdsweep.spec.rungs import rung_epochs

    search, train = sweep.spec.search, sweep.spec.trial.train
    if search.ends_early is not None and len(schedules_of(sweep)) > 1:
        return "where the epochs and the schedule of each trial, which vary, have a place for one"
    if plan.rungs and search.rungs is not None:
        epochs, eta = epochs_in_words(plan.rungs), search.rungs.eta
        return (
            f"after epoch {epochs} of {train.epochs} the best one in {eta:g} of those so far go on "
            "for their size, and the best of each octave (doubling) of size; the others end at "
            "that rung"
        )
    none_spared = search.rungs and search.rungs.model_copy(update={"grace": 1})
    earlier = rung_epochs(train, none_spared) if none_spared else ()
    why = (
        "search.rungs is null" if search.rungs is None
        else "replicates are judged together at their end" if search.replicates > 1
        else "search.batch wants a fixed order" if search.batch is not None
        else "the cosine schedule has no place for one, per_rung has"
        if train.schedule.name == "cosine"
        else f"{_epochs(earlier)} before grace ({search.rungs.grace})"
        if earlier and train.epochs > search.rungs.grace
        else f"{train.epochs} epochs are too few for one"
    )  # fmt: skip
    return f"none, no trial ends early: {why}"


def clash_lines(pairing: "Pairing") -> list[str]:
    """Which pairs of networks and strategies of a sweep cannot be trained, a few of them."""
    if not pairing.clashes:
        return []
    shown = pairing.clashes[:_SHOWN_CLASHES]
    left = len(pairing.clashes) - len(shown)
    return [
        f"  clashes     {pairing.num_clashes} of {pairing.num_pairs} pairs of networks and "
        "strategy: their trials fail as they start",
        *(f"              {clash}" for clash in shown),
        *([f"              and {left} more kinds: see --json"] if left else []),
    ]


def bound_lines(sweep: "Sweep", *, some: bool = False) -> list[str]:
    """Whether the sizes of students, known untrained, can meet the constraints of a sweep.

    With ``some`` also where it is some students of the space that cannot, which is what bounds are
    for.
    """
    from kdsweep.sweep_file.out_of_reach import misses

    bounds = sweep.spec.constraints
    own = misses(sweep.sizes_of({}), bounds)
    corners = [misses(student.sizes, bounds) for student in sweep.students]
    missing = [each for each in corners if each]
    lines = []
    if missing and (some or len(missing) == len(corners)):
        left_out = "none meets" if len(missing) == len(corners) else f"{len(missing)} do not meet"
        lines.append(
            f"of {len(corners)} students at the ends of the space {left_out} them: {missing[0][0]}"
        )
    if own:
        lines.append(f"the trial's own student does not meet them: {'; '.join(own)}")
    return [f"  constraints {line}" for line in lines]


def _resource_lines(resources: "Resources", address: str | None) -> list[str]:
    each = f"{_counted(resources.workers_per_trial, 'worker')} x {resources.cpus_per_worker:g} CPU"
    if resources.gpus_per_worker:
        each += f" + {resources.gpus_per_worker:g} GPU"
    if resources.machine is None:
        lanes = "as many lanes as fit" if resources.lanes is None else f"{resources.lanes} lanes"
        return [f"  resources   {lanes} x {each}, on the cluster at {address}; {_LANE}"]
    machine = resources.machine
    has = f"{_counted(machine.cpus, 'CPU')}, {_counted(machine.gpus, 'GPU')}"
    lanes = _counted(resources.lanes or 0, "lane")
    if resources.problem is None:
        return [f"  resources   {lanes} x {each}: fits this machine ({has}); {_LANE}"]
    return [f"  resources   {lanes} x {each}: does not fit this machine",
            f"              {resources.problem}"]  # fmt: skip


def _controls(plan: "Plan") -> str:
    if not plan.controls:
        return "no controls (there are no training data)"
    return f"{_counted(len(plan.controls), 'control')} ({', '.join(plan.controls)})"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
