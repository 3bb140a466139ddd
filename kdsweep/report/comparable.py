"""Whether runs can be compared, and what their sweep files do differently."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kdsweep.report.labels import flatten
from kdsweep.results.compare import Compared
from kdsweep.results.noise import validation_examples

SECTIONS = ("trial", "space", "objectives", "constraints", "search")
"""Of a sweep file what decides its results; not its name, nor where it runs."""

_OF_THE_SPLIT = ("name", "validation", "test", "split_seed", "limit")


def doubts(runs: Sequence[Compared]) -> list[str]:
    """Why a difference between the runs may not be what it seems, a sentence each."""
    metas = [run.meta for run in runs]
    found = []
    prints = [meta.data_fingerprint for meta in metas]
    if None in prints:
        found.append("not all runs know their data: they may be others")
    elif len(set(prints)) > 1:
        found.append(
            "the data or their settings are not the same, and accuracies on different examples "
            f"cannot be compared: {_each(_short(prints))}"
        )
    splits = [_split(run) for run in runs]
    if _differ([split for split in splits if split]):
        found.append(f"the validation split is not the same: {_each(map(_words, splits))}")
    sizes = [validation_examples(run.meta, run.results) for run in runs]
    if any(sizes) and examples_of(runs) is None:
        found.append(f"they have other numbers of validation examples: {_each(sizes)}")
    if _differ([dict(meta.objectives) for meta in metas]):
        said = (_words(meta.objectives) for meta in metas)
        found.append(f"the objectives are not the same: {_each(said)}")
    if _differ([meta.constraints for meta in metas]):
        said = (_words(flatten(dict(meta.model_dump()["constraints"]))) or "none" for meta in metas)
        found.append(f"the constraints are not the same: {_each(said)}")
    if _differ([meta.replicates for meta in metas]):
        found.append(
            f"points have other numbers of trials: {_each(meta.replicates for meta in metas)}; "
            "the best of single ones is luckier than the best of means"
        )
    running = [letter(number) for number, meta in enumerate(metas) if meta.status == "running"]
    if running:
        found.append(f"{' and '.join(running)} had not ended when this was read")
    return found


def copies(runs: Sequence[Compared]) -> list[str]:
    """Which runs are copies of one sweep, which has one id wherever it lies; a sentence each."""
    of_sweep: dict[str, list[str]] = {}
    for number, run in enumerate(runs):
        of_sweep.setdefault(run.meta.sweep_id, []).append(letter(number))
    return [
        f"{' and '.join(letters)} are copies of one sweep (id {sweep_id[:8]}): they differ only by "
        "what was trained in one of them after it was copied"
        for sweep_id, letters in of_sweep.items() if len(letters) > 1
    ]  # fmt: skip


def warm_started(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which runs began with what others had shown, by their sweep files; a sentence each."""
    found = []
    for number, file in enumerate(files):
        search = file.get("search")
        runs = search.get("warm_start") if isinstance(search, Mapping) else None
        if isinstance(runs, list) and runs:
            found.append(
                f"{letter(number)} began with what {', '.join(map(str, runs))} had shown "
                "(search.warm_start) and repeats none of those points: its own front has only what "
                "was new to it, and the joint front is what both have found"
            )
    return found


def examples_of(runs: Sequence[Compared]) -> int | None:
    """How many validation examples all runs have; none where that is not known, or not one number.

    What a few trials show may be a divisor of it, see ``noise.validation_size``.
    """
    found = (validation_examples(run.meta, run.results) for run in runs)
    sizes = [size for size in found if size is not None]
    most = max(sizes, default=None)
    return most if most is not None and all(most % size == 0 for size in sizes) else None


def differing(files: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """By dotted path what the sweep files say there, where that is not the same in all.

    What one leaves out and another gives is ``None`` in the first: of defaults see
    ``sweep_file.written_out``.
    """
    flat = [flatten({s: file[s] for s in SECTIONS if file.get(s) is not None}) for file in files]
    paths = dict.fromkeys(path for each in flat for path in each)
    found = {path: [each.get(path) for each in flat] for path in paths}
    return {path: values for path, values in found.items() if _differ(values)}


def letter(number: int) -> str:
    """What a run is called in tables and plots: ``A`` for the first."""
    return chr(ord("A") + number)


def _differ(values: Sequence[Any]) -> bool:
    return len({json.dumps(value, sort_keys=True, default=str) for value in values}) > 1


def _each(values: Any) -> str:
    return ", ".join(f"{letter(number)} {value}" for number, value in enumerate(values))


def _short(prints: Sequence[str | None]) -> list[str]:
    return [(each or "?")[:8] for each in prints]


def _split(run: Compared) -> dict[str, Any]:
    """The settings that decide which examples are for validation, as trials have them."""
    for result in run.results:
        data = result.trial.get("data")
        if isinstance(data, Mapping):
            return {key: data[key] for key in _OF_THE_SPLIT if key in data}
    return {}


def _words(settings: Mapping[Any, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())
