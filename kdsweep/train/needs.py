"""What a trial's strategies ask of networks, teachers and data, before any of them is built."""

from collections.abc import Iterable

from kdsweep import catalog
from kdsweep.spec import Component, TrialSpec
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import Needs


def needs_of(component: Component) -> Needs:
    """What a strategy and its extras together ask of the two networks, before any is built.

    Raises:
        SpecError: no strategy of that name.
    """
    return together(
        catalog.find("strategy", each.name).needs
        for each in (component, *catalog.extras(component).values())
    )


def teachers_of(trial: TrialSpec) -> tuple[str, ...]:
    """The names of the frozen teachers that a trial learns from, the main one first.

    Raises:
        SpecError: the strategy names a teacher that the trial does not have.
    """
    if trial.teacher is None or not needs_of(trial.strategy).teacher:
        return ()
    chosen: list[str] = []
    for each in (trial.strategy, *catalog.extras(trial.strategy).values()):
        settings = catalog.params("strategy", each)
        chosen += catalog.find("strategy", each.name).chosen(settings, tuple(trial.teachers))
    return (MAIN_TEACHER, *dict.fromkeys(chosen))


def together(needs: Iterable[Needs]) -> Needs:
    """What several strategies ask for at once."""
    each = tuple(needs)
    return Needs(
        teacher=any(n.teacher for n in each),
        features=any(n.features for n in each),
        stored=all(n.stored for n in each),
        data=all(n.data for n in each),
    )
