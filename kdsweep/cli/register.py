"""``kdsweep select --register``: the chosen student into MLflow's model registry."""

from typing import Any

from kdsweep.cli.saying import meanwhile, say
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError, redacted
from kdsweep.report.labels import strategy_label, student_label
from kdsweep.results.limits import Limit, number_words
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import deviation
from kdsweep.results.select import Choice
from kdsweep.results.store import RunStore

ALIAS = "chosen"


def refuse_without_name(name: str | None, alias: str, tracking_uri: str | None) -> None:
    """Check that options of ``--register`` come with it.

    Raises:
        ResultError: they do not.
    """
    if name is None and (alias != ALIAS or tracking_uri is not None):
        given = "--alias" if alias != ALIAS else "--tracking-uri"
        raise ResultError(f"{given} says how something is registered: give --register NAME too")


def register_chosen(
    store: RunStore,
    choice: Choice,
    chosen: TrialResult,
    *,
    name: str,
    alias: str,
    tracking_uri: str | None = None,
) -> dict[str, Any]:
    """Register the choice as a version of the model ``name``, and say so on stderr.

    Gives what scripts want of it.

    Raises:
        ResultError: as ``registry.register``.
        SpecError: ``tracking_uri`` is none.
    """
    from kdsweep.cli.tracked import tracking_of
    from kdsweep.tracking.registry import Entry, check_names, register

    meanwhile("loading PyTorch and MLflow")
    entry = Entry(name, alias, tags_of(store, choice, chosen), described(store, choice, chosen))
    check_names(entry)
    uri, _ = tracking_of(store, tracking_uri, option="--tracking-uri")
    there = "" if tracking_uri is None else f" --uri {redacted(tracking_uri)}"
    done = register(
        store, chosen, entry, uri=uri, sync=f"kdsweep sync {store.place}{there}", tell=_tell
    )
    if done.is_new:
        _tell(f"registered  {name}, version {done.version}, as {done.uri}")
    else:
        _tell(
            f"registered  this trial is version {done.version} of {name} already: no second one is "
            f"made; it is {done.uri} now"
        )
    if done.moved_from is not None:
        _tell(f"{'':12}alias `{done.alias}` moved from version {done.moved_from} to {done.version}")
    return {
        "name": done.name, "version": done.version, "alias": done.alias, "uri": done.uri,
        "run_id": done.run_id, "is_new": done.is_new,
        "moved_from": done.moved_from, "tracking_uri": redacted(uri),
    }  # fmt: skip


def _tell(sentence: str) -> None:
    say("\n".join(wrapped_under(sentence)), err=True)


def tags_of(store: RunStore, choice: Choice, chosen: TrialResult) -> dict[str, str]:
    """What a version of the registry is filtered and told apart by."""
    tags = {
        "sweep": store.meta.name,
        "trial": str(chosen.number),
        "student": student_label(chosen),
        "strategy": strategy_label(chosen),
        "role": chosen.role,
        "on_front": str(chosen.trial_id in choice.front_ids).lower(),
        "prefer": choice.prefer,
        "constraints": ", ".join(map(_as_given, choice.limits)) or "none",
    }
    for metric in ("accuracy", "params", "latency_ms"):
        if metric in chosen.metrics:
            tags[metric] = f"{chosen.metrics[metric]:.6g}"
    return tags


def _as_given(limit: Limit) -> str:
    """A limit for a filter: an accuracy from 0 to 1, as MLflow has all of them."""
    if limit.metric != "accuracy":
        return limit.words
    return f"{'min' if limit.is_lower else 'max'} accuracy {number_words(limit.bound)}"


def described(store: RunStore, choice: Choice, chosen: TrialResult) -> str:
    """The description of a version, for people."""
    # Of MLflow, which the command has loaded by now.
    from kdsweep.tracking.registry import CHOSEN_BY

    accuracy = chosen.metrics.get("accuracy")
    spread = deviation(chosen, "accuracy")
    of = "" if spread is None else f" ±{100 * spread:.2f} over {len(chosen.trial_ids)} trainings"
    good = "" if accuracy is None else f"Validation accuracy {100 * accuracy:.2f}%{of}. "
    limits = " and ".join(limit.words for limit in choice.limits)
    return (
        f"{chosen.label}: trial {chosen.number} of the sweep {store.meta.name}. {good}"
        f"{CHOSEN_BY} {choice.prefer}{f', with {limits}' if limits else ''}. "
        "Input and output are as the signature says, pixels 0 to 255: the normalisation is in the "
        "model. trial.yaml, in the model's extra files, trains it again."
    )
