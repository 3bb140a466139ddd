"""What Ray reads from the environment when it is imported: import this before it."""

import os

LOOPBACK = "127.0.0.1"
"""What a Ray that is started for a sweep listens on: no other machine reaches it."""

_ENVIRONMENT = {
    # Under `uv run` Ray makes every worker a `uv run` of its own, which rebuilds the environment
    # and takes minutes; the lanes use this process's interpreter.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A call after the end of a sweep would start another Ray, which listens on every interface.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # Ray cuts off what it does not need on one machine, and what we do ourselves.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_SLOW_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "600",
    # Tune's own snapshots are never read: the records are JSON.
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
}


def prepare_environment() -> None:
    """Set what is not set; a value that a person has chosen stays."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


prepare_environment()
