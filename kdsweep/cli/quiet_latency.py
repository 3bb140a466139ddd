"""The latency that a choice is made by: measured where nothing else ran, if it was."""

from kdsweep.cli.saying import say
from kdsweep.results.latencies import read_latencies, with_quiet_latency
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore


def in_quiet(store: RunStore, results: list[TrialResult], *, wanted: bool) -> list[TrialResult]:
    """The results with the latency of ``latency.json``, where latency is ``wanted`` for a choice.

    Which device it is of is told, or that trials have measured it beside others.

    Raises:
        ResultError: ``latency.json`` is damaged.
    """
    if not wanted:
        return results
    quiet = with_quiet_latency(results, read_latencies(store.directory))
    if quiet is not None:
        say(quiet.sentence, err=True)
        return quiet.results
    if any(result.latency is not None and result.latency.busy for result in results):
        say(
            "latency as trials measured it, while others trained; "
            f"`kdsweep latency {store.place}` measures it alone",
            err=True,
        )
    return results
