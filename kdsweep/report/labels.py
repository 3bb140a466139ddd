"""A trial in words: its student, its strategy, its name, and its settings one by one."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult

SIZES = ("width", "depth", "layers", "stages", "hidden", "filters")
_NOT_IN_A_NAME = ("data", "teacher", "teachers", "train", "seed")
_PARTS = {"student", "strategy", *_NOT_IN_A_NAME}
_MOST_DRAWN = 2
_STRENGTHS = {"temperature": "T", "alpha": "a", "weight": "u"}


def strategy_label(result: TrialResult) -> str:
    """``kd``, or ``kd+fitnet`` with its extra terms; ``-`` where there is none.

    A teacher's record holds the trial that it was trained for, whose strategy is not its own.
    """
    return "-" if result.role == "teacher" else _strategy_words(result.trial)


def student_label(result: TrialResult) -> str:
    """``cnn``, with its sizes where it has them: ``cnn w8 d2``; a teacher's likewise."""
    if result.role == "teacher":
        student = _component(_component(result.trial.get("teacher")).get("model"))
    else:
        student = _component(result.trial.get("student"))
    name = str(student.get("name", "-")).rpartition(":")[2]
    return " ".join([str(student.get("model", name)), *_size_words(student)])


def trial_name(
    trial: Mapping[str, Any],
    drawn: Mapping[str, Any] | None = None,
    *,
    varied: Collection[str] | None = None,
) -> str:
    """A trial in a few words: ``kd w16 d1 T4.2 a0.31``.

    Of what the search has ``drawn``, by the name of the dimension, two are in it that are not said
    already and are of student or strategy: ``kd+transformer w32 T4 transformer.hidden_weight=0.3``.
    ``varied`` are the dotted paths that the sweep varies: sizes that all its students have in
    common are left out.
    """
    strategy = _component(trial.get("strategy"))
    strengths = [
        f"{letter}{strategy[key]:.2g}"
        for key, letter in _STRENGTHS.items()
        if isinstance(strategy.get(key), int | float)
    ]
    sizes = _size_words(_sized(_component(trial.get("student")), varied))
    own_weight = "weight" in strategy or len(_extras(trial)) > 1
    others = islice(_drawn_words(drawn or {}, own_weight=own_weight), _MOST_DRAWN)
    return " ".join([_strategy_words(trial), *sizes, *strengths, *others])


def key_of_names(trial: Mapping[str, Any], varied: Collection[str]) -> str:
    """What the parts of a trial's name stand for, by that of ``trial`` itself.

    ``kd w16 T4.2 a0.31: strategy, width, temperature, alpha``; ``varied`` as in ``trial_name``.
    """
    strategy = _component(trial.get("strategy"))
    sized = _sized(_component(trial.get("student")), varied)
    parts = [] if ":" in str(sized.get("name")) else [s for s in SIZES if sized.get(s) is not None]
    parts += [key for key in _STRENGTHS if isinstance(strategy.get(key), int | float)]
    return f"{trial_name(trial, varied=varied)}: {', '.join(['strategy', *parts])}"


def _sized(student: Mapping[str, Any], varied: Collection[str] | None) -> Mapping[str, Any]:
    """The student without the sizes that are no question of its sweep."""
    ways = {path.partition(".")[0] for path in varied or ()}
    settings = {path.removeprefix("student.") for path in varied or ()}
    # What a name of the sweep's own stands for, and another family, may set any size.
    if not ways <= _PARTS or {"student", "name"} & settings or not settings & student.keys():
        return student
    return {key: value for key, value in student.items() if key in ("name", *settings)}


def _extras(trial: Mapping[str, Any]) -> list[str]:
    extra = _component(trial.get("strategy")).get("extra") or {}
    return [name for name, given in extra.items() if given is not None]


def _drawn_words(drawn: Mapping[str, Any], *, own_weight: bool) -> Iterable[str]:
    for name, value in drawn.items():
        path = re.sub(r"\[[^\]]*\]", "", name)
        above, _, key = path.rpartition(".")
        said = path in ("student", "strategy") or (
            key in SIZES if above == "student" else above == "strategy" and key in _STRENGTHS
        )
        # That an extra is there is said by the words for the strategy.
        said = said or "strategy.extra" in (path, above)
        if said or value is None or path.partition(".")[0] in _NOT_IN_A_NAME:
            continue
        if above.startswith("strategy.extra.") and key == "weight" and not own_weight:
            yield f"{_STRENGTHS[key]}{value:.2g}"
        else:
            yield f"{setting_name(path)}={value_words(value)}"


def _strategy_words(trial: Mapping[str, Any]) -> str:
    strategy = _component(trial.get("strategy"))
    names = [str(strategy.get("name", "-")), *_extras(trial)]
    return "+".join(name.rpartition(":")[2] for name in names)


def _size_words(student: Mapping[str, Any]) -> list[str]:
    """The sizes of a family, short; of a class of one's own all numbers, with their names."""
    if ":" in str(student.get("name")):
        numbers = {k: v for k, v in student.items() if isinstance(v, int | float)}
        return [f"{key}={value}" for key, value in numbers.items()]
    return [f"{key[0]}{student[key]}" for key in SIZES if student.get(key) is not None]


def setting_name(path: str) -> str:
    """A dotted path of a trial in short: ``lr``, ``T``, ``teacher.width``, ``fitnet.weight``."""
    if path == "strategy.temperature":
        return "T"
    if path.startswith("strategy.extra."):
        extra, _, rest = path.removeprefix("strategy.extra.").rpartition(".")
        return f"{extra.rpartition(':')[2]}.{rest}" if extra else rest
    parts = path.split(".")
    if len(parts) > 1 and parts[-1] == "name":
        parts.pop()
    if parts[0] not in ("teacher", "teachers"):
        return parts[-1]
    whose, *below = parts[1:] if len(parts) > 1 and parts[0] == "teachers" else parts
    return f"{whose}.{below[-1]}" if below and below[-1] != "model" else whose


def value_words(value: Any) -> str:
    """A setting's value for people: three digits of a number with a fraction."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings under dotted keys; a list is one value, as JSON; nothing is ``null``."""
    return dict(_leaves("", settings))


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif path:
        plain = isinstance(value, str | int | float)
        yield path, value if plain else json.dumps(value, default=str)


def _component(value: Any) -> Mapping[str, Any]:
    """A component of a trial, which may be a bare name."""
    if isinstance(value, Mapping):
        return value
    return {} if value is None else {"name": value}


def num_words(num: int, thing: str) -> str:
    """``1 student``, ``2 students``, ``0 students``."""
    return f"{num} {thing}{'s' * (num != 1)}"


def clock_words(seconds: float) -> str:
    """``1h 02m``, ``2m 05s``, ``7s``: rounded to the unit that is said last, half a unit up."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    if minutes >= 60:
        # From the seconds as given: 1h 02m 29.6s would else be rounded twice, to 1h 03m.
        hours, minutes = divmod(int((seconds + 30) / 60), 60)
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def money_words(cost: float) -> str:
    """Two decimals, or where that would be nothing two digits: ``1,204.50``, ``0.0083``."""
    return f"{cost:,.2f}" if cost >= 0.1 or cost == 0 else f"{cost:.2g}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def spent_words(meta: RunMeta, *, epochs: int | None = None) -> str:
    """What a sweep has spent: ``2m 05s, 5,230 epochs of students, 1.20 in money``.

    ``epochs`` is for one that runs, whose records may know of more than ``meta``.
    """
    trained = meta.student_epochs if epochs is None else epochs
    said = f"{clock_words(meta.wall_seconds)}, {trained:,} epochs of students"
    return said if meta.cost is None else f"{said}, {money_words(meta.cost)} in money"
