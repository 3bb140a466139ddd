"""What an earlier process has written down of a trial that ended with it."""

from kdsweep.results.record import TrialResult


def with_cut(record: TrialResult, resumed_after: int = 0) -> tuple[str, ...]:
    """Its interruptions with the end of the sweep that had it on a lane.

    Its last checkpoint may be newer than its record.
    """
    if not record.lane:
        return record.interruptions  # it waited: nobody trained it
    known = record.epochs[-1].epoch if record.epochs else 0
    where = f"{record.lane}, after epoch {max(known, resumed_after)}"
    return (*record.interruptions, f"{where}: the sweep was cut short")
