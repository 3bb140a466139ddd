"""A name in YAML -> the class in the file of that name; ``module:Class`` -> the user's own."""

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError
from torch import nn

from kdsweep.batch import Shape, in_words, modality
from kdsweep.data.base import DataInfo, DataSet
from kdsweep.errors import SpecError, in_one_line, in_own_code, unknown_name
from kdsweep.models.base import Family
from kdsweep.spec import Component, Settings
from kdsweep.spec.problems import dotted, sentences
from kdsweep.strategies.base import Probe, Strategy

_log = logging.getLogger(__name__)

Kind = Literal["data", "model", "strategy"]
_ROOMS: dict[Kind, tuple[str, type]] = {
    "data": ("kdsweep.data", DataSet),
    "model": ("kdsweep.models", Family),
    "strategy": ("kdsweep.strategies", Strategy),
}
_GIVEN_TO_MODELS = ("shape", "num_classes")
_own_code: set[str] = set()


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """Every name of a kind: the files of its room that hold a class of that kind."""
    room = importlib.import_module(_ROOMS[kind][0])
    found = (module.name for module in pkgutil.iter_modules(room.__path__))
    return tuple(sorted(name for name in found if _class_in(kind, name) is not None))


def find(kind: Kind, name: str) -> type[Any]:
    """The class that a name stands for.

    Raises:
        SpecError: no such name, or nothing of that kind at the import path.
    """
    if ":" in name:
        return _import(kind, name)
    found = _class_in(kind, name) if name.isidentifier() else None
    if found is None:
        raise SpecError(unknown_name(kind, name, names(kind)))
    return found


def own_code(file: object) -> list[str]:
    """The import paths in the plain data of a file whose classes were imported from there."""
    if isinstance(file, str):
        return [file] if file in _own_code else []
    if isinstance(file, Mapping):
        file = [*file.keys(), *file.values()]
    inner = file if isinstance(file, list | tuple) else ()
    return sorted({path for each in inner for path in own_code(each)})


def params(kind: Kind, component: Component, *, at: str = "") -> Settings:
    """The component's settings, checked by its class; a strategy's ``extra`` is not among them.

    Raises:
        SpecError: every problem of the settings, each with its path under ``at``.
    """
    try:
        cls = find(kind, component.name)
    except SpecError as error:
        raise SpecError([f"{dotted((at, 'name'))}: {p}" for p in error.problems]) from None
    if not hasattr(cls, "Params"):
        return _signature_params(cls, component, at)
    try:
        checked: Settings = cls.Params(**_own_settings(kind, component))
    except ValidationError as error:
        raise SpecError(sentences(error, cls.Params, at=at)) from None
    return checked


def extras(component: Component, *, at: str = "strategy") -> dict[str, Component]:
    """The strategies whose loss terms are added to this one's, by name, but for absent (null) ones.

    Raises:
        SpecError: ``extra`` is not a mapping of strategies to their settings, or names this one.
    """
    given = component.settings.get("extra")
    if given is None:
        return {}
    at = dotted((at, "extra"))
    if not isinstance(given, Mapping):
        raise SpecError(
            f"{at}: {given!r} is not allowed: must map strategies to their settings, "
            "as {fitnet: {weight: 0.5}}"
        )
    problems = [problem for name in given for problem in _extra_problems(component, given, name)]
    if problems:
        raise SpecError([f"{dotted((at, problem))}" for problem in problems])
    return {
        name: Component(**settings, name=name)
        for name, settings in given.items() if settings is not None
    }  # fmt: skip


def _extra_problems(component: Component, given: Mapping[str, Any], name: str) -> list[str]:
    settings = given[name]
    if name == component.name:
        return [f"{name}: is the main strategy already: a strategy is given once"]
    try:
        cls = find("strategy", name)
    except SpecError as error:
        return [f"{name}: {problem}" for problem in error.problems]
    if not cls.needs.data or cls.changed is not Strategy.changed:
        return [
            f"{name}: decides what both networks see, which only the main strategy can: "
            f"make it the main one (name: {name})"
        ]
    if settings is not None and not isinstance(settings, Mapping):
        return [f"{name}: {settings!r} is not allowed: must be its settings, {{}} or null (absent)"]
    return [
        f"{name}.{key}: unknown key {key!r}: an extra has the settings of its strategy alone"
        for key in settings or {} if key in ("name", "extra")
    ]  # fmt: skip


def dataset(component: Component) -> DataSet:
    """The data set of a component, not yet read."""
    made: DataSet = find("data", component.name)(params("data", component, at="data"))
    return made


def model(component: Component, *, shape: Shape, num_classes: int) -> nn.Module:
    """The network of a component, for inputs of ``shape``.

    A user's ``nn.Module`` without ``Params`` gets its settings as keyword arguments, and ``shape``
    and ``num_classes`` where its constructor has them.

    Raises:
        SpecError: its settings are wrong, or it cannot be built for such inputs.
    """
    cls = find("model", component.name)
    settings = params("model", component)
    reads = getattr(cls, "reads", modality(shape))
    if reads != modality(shape):
        raise SpecError(f"{component.name} takes {reads}, and the data set has {in_words(shape)}")
    if hasattr(cls, "Params"):
        made: nn.Module = cls(settings, shape=shape, num_classes=num_classes)
        return made
    accepted = inspect.signature(cls).parameters
    given = {"shape": shape, "num_classes": num_classes}
    extra = {key: value for key, value in given.items() if key in accepted}
    try:
        own: nn.Module = cls(**component.settings, **extra)
    except SpecError:
        raise
    except Exception as error:  # a class of the user's may fail in any way
        # A ValueError is how a constructor refuses a setting: its words are enough.
        place = in_own_code(error) and not isinstance(error, ValueError)
        said = in_one_line(error) if place else error
        _log.debug("%s cannot be built", component.name, exc_info=error)
        raise SpecError(f"{component.name} cannot be built: {said}") from error
    return own


def model_for(component: Component, info: DataInfo) -> nn.Module:
    """The network of a component, for the inputs of a data set that it reads; as ``model``."""
    return model(component, shape=shape_for(component, info), num_classes=info.num_classes)


def shape_for(component: Component, info: DataInfo) -> Shape:
    """The shape of what a network reads of a data set.

    Raises:
        SpecError: no such network, or the data set has nothing that it reads.
    """
    cls = find("model", component.name)
    shapes = info.shapes
    reads = getattr(cls, "reads", next(iter(shapes)))
    if reads not in shapes:
        have = " and ".join(in_words(shape) for shape in shapes.values())
        raise SpecError(f"{component.name} takes {reads}, and the data set has {have}")
    return shapes[reads]


def strategy(component: Component, probe: Probe) -> Strategy:
    """The strategy of a component, its adapters made for the probed networks."""
    made: Strategy = find("strategy", component.name)(params("strategy", component), probe)
    return made


def _class_in(kind: Kind, name: str) -> type[Any] | None:
    room, base = _ROOMS[kind]
    if name == "base" or name.startswith("_"):
        return None
    try:
        module = importlib.import_module(f"{room}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{room}.{name}":
            return None
        raise
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]
    return own[0] if own else None


def _own_settings(kind: Kind, component: Component) -> dict[str, Any]:
    settings = component.settings
    if kind == "strategy":
        settings.pop("extra", None)
    return settings


def _import(kind: Kind, path: str) -> type[Any]:
    module_name, _, class_name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a module of the user's may fail to import in any way
        own = in_own_code(error) and not isinstance(error, SyntaxError)
        said = in_one_line(error) if own else error
        _log.debug("%s cannot be imported", path, exc_info=error)
        raise SpecError(
            f"{path!r} cannot be imported: {said}; a component of your own is named "
            "package.module:Class and must be importable where kdsweep runs"
        ) from error
    wanted = nn.Module if kind == "model" else _ROOMS[kind][1]
    if not (isinstance(found, type) and issubclass(found, wanted)):
        raise SpecError(f"{path!r} is not a {kind}: it must be a subclass of {wanted.__name__}")
    _own_code.add(path)
    return found


def _signature_params(cls: type[Any], component: Component, at: str) -> Settings:
    """Only the names can be checked here: the constructor checks its own values."""
    accepted = inspect.signature(cls).parameters
    if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return Settings()
    allowed = [name for name in accepted if name not in _GIVEN_TO_MODELS]
    wrong = [name for name in component.settings if name not in allowed]
    if wrong:
        raise SpecError(
            [f"{dotted((at, name))}: {unknown_name('setting', name, allowed)}" for name in wrong]
        )
    return Settings()
