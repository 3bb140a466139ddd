"""A trial in words: its student, its strategy, its name, and its settings one by one."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult

SIZES = ("width", "depth", "layers", "stages", "hidden", "filters")
_NOT_IN_A_NAME = ("data", "teacher", "teachers", "train", "seed")
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


def trial_name(trial: Mapping[str, Any], drawn: Mapping[str, Any] | None = None) -> str:
    """A trial in a few words: ``kd w16 d1 T4.2 a0.31``.

    Of what the search has ``drawn``, by the name of the dimension, all is in it that is not said
    already and is of student or strategy: ``kd+transformer w32 T4 transformer.hidden_weight=0.3``.
    """
    strategy = _component(trial.get("strategy"))
    strengths = [
        f"{letter}{strategy[key]:.2g}"
        for key, letter in _STRENGTHS.items()
        if isinstance(strategy.get(key), int | float)
    ]
    sizes = _size_words(_component(trial.get("student")))
    return " ".join([_strategy_words(trial), *sizes, *strengths, *_drawn_words(drawn or {})])


def _drawn_words(drawn: Mapping[str, Any]) -> Iterable[str]:
    for name, value in drawn.items():
        path = re.sub(r"\[[^\]]*\]", "", name)
        above, _, key = path.rpartition(".")
        said = path in ("student", "strategy") or (
            key in SIZES if above == "student" else above == "strategy" and key in _STRENGTHS
        )
        # That an extra is there is said by the words for the strategy.
        said = said or "strategy.extra" in (path, above)
        if not said and value is not None and path.partition(".")[0] not in _NOT_IN_A_NAME:
            yield f"{setting_name(path)}={value_words(value)}"


def _strategy_words(trial: Mapping[str, Any]) -> str:
    strategy = _component(trial.get("strategy"))
    extra = strategy.get("extra") or {}
    added = [name for name, given in extra.items() if given is not None]
    names = [str(strategy.get("name", "-")), *added]
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


def spent_words(meta: RunMeta) -> str:
    """What a sweep has spent: ``2m 05s, 5,230 epochs of students, 1.20 in money``."""
    said = f"{clock_words(meta.wall_seconds)}, {meta.student_epochs:,} epochs of students"
    return said if meta.cost is None else f"{said}, {money_words(meta.cost)} in money"
