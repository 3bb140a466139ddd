"""What ``kdsweep check`` says of the earlier sweeps that a sweep learns from."""

from typing import TYPE_CHECKING, Any

from kdsweep.cli.wrapped import wrapped

if TYPE_CHECKING:
    from kdsweep.search.warm_start import WarmStart
    from kdsweep.sweep_file import Sweep


def of(sweep: "Sweep") -> "WarmStart | None":
    """What can be learned from them; ``None`` where there are none.

    Raises:
        SpecError: they are missing, or nothing can.
    """
    from kdsweep.search.warm_start import warm_start_of

    return warm_start_of(sweep)


def as_data(warm: "WarmStart | None") -> list[dict[str, Any]]:
    """Each run with how many of its trials are used, and why others are not."""
    return [] if warm is None else [run.model_dump() for run in warm.runs]


def as_text(sweep: "Sweep", warm: "WarmStart | None") -> list[str]:
    """The same in lines, and where it is not known yet."""
    if not sweep.spec.search.warm_start:
        return []
    if warm is None:
        return wrapped("the runs of warm_start were not looked for", "warm start")
    said = [line for run in warm.runs for line in wrapped(run.words, "warm start")]
    return [*said, *wrapped("their data are held against these when they are read")]
