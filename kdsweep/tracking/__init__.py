"""Results into MLflow, which is imported here only, and only when a sweep is tracked."""

from kdsweep.tracking.tracker import Tracker, sync
from kdsweep.tracking.where import default_uri

__all__ = ["Tracker", "default_uri", "sync"]
