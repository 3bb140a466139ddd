"""A run in MLflow, as far as it was sent: by this process, or found there."""

from dataclasses import dataclass
from typing import Any

from kdsweep.tracking.entities import EPOCHS, LAYOUT, LAYOUT_NOW, ON_FRONT, ON_FRONT_BEFORE


@dataclass
class TrackedRun:
    """A run of MLflow's, as far as it was sent."""

    run_id: str
    epochs: int = -1
    """Sent so far; -1 while the settings are not there."""
    status: str = "RUNNING"
    on_front: bool | None = False
    """None where no tag says it by its present name."""
    has_data: bool = False
    name_before: str | None = None
    """Of a run of an earlier layout, until it has the names of this one."""
    has_tag_before: bool = False
    has_error_before: bool = False
    """Of a run of an earlier layout: also a pruned trial had the tag ``error``."""

    @classmethod
    def of(cls, run: Any) -> "TrackedRun":
        """From what MLflow has of it."""
        tags = run.data.tags
        found = cls(
            run.info.run_id, epochs=int(tags.get(EPOCHS, -1)), status=run.info.status,
            on_front=tags[ON_FRONT] == "true" if ON_FRONT in tags else None,
            has_data=bool(run.inputs is not None and run.inputs.dataset_inputs),
            has_tag_before=ON_FRONT_BEFORE in tags,
        )  # fmt: skip
        if tags.get(LAYOUT) != LAYOUT_NOW:
            found.epochs, found.name_before = -1, str(run.info.run_name)
            found.has_error_before = "error" in tags
        return found
