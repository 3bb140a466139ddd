"""Ray's and Tune's own chatter, in a file instead of on the screen."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdsweep.errors import redacted
from kdsweep.results.names import LOG_FILE
from kdsweep.search import environment  # noqa: F401  # before ray

from ray._private import worker  # isort: skip

LOUD = ("ray", "ray.tune", "ray.train", "ray.data", "mlflow", "alembic", "optuna", "torch")


class _Redacted(logging.Formatter):
    """A log is shared more lightly than a password: libraries log the addresses they talk to."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


@contextmanager
def hushed() -> Iterator[None]:
    """Nothing that the libraries log reaches the screen; what they print stays theirs."""
    nowhere: Any = logging.NullHandler()
    loggers = [logging.getLogger(), *map(logging.getLogger, LOUD)]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [nowhere]
    # A library that configures logging when it is imported may leave loggers without handlers:
    # their records would go to the screen as they are.
    last_resort, logging.lastResort = logging.lastResort, nowhere
    logging.captureWarnings(True)
    said, worker.print_to_stdstream = worker.print_to_stdstream, _noted
    try:
        yield
    finally:
        worker.print_to_stdstream = said
        logging.captureWarnings(False)
        logging.lastResort = last_resort
        for logger, handlers, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate


def _noted(said: Mapping[str, Any], ignore_prefix: bool) -> None:
    """What Ray would print of its nodes and workers, a paragraph for each that dies."""
    for line in said["lines"]:
        logging.getLogger("ray").warning("%s: %s", said.get("pid"), line)


def _is_news(record: logging.LogRecord) -> bool:
    """Not that Tune finds no files of results: nobody has it write any."""
    return (
        record.name != "ray.tune.analysis.experiment_analysis" or record.levelno > logging.WARNING
    )


class _Log(logging.FileHandler):
    """A log that a full disk silences: what matters is told on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:  # its name there
        """Say nothing: a line of chatter is lost."""


@contextmanager
def chatter_in(directory: Path) -> Iterator[Path]:
    """Send log records and warnings of the libraries to the log of a run for a while."""
    path = directory / LOG_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Log(path, delay=False)
    handler.addFilter(_is_news)
    handler.setFormatter(_Redacted("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    loggers = [logging.getLogger(name) for name in LOUD]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for logger in loggers:
        logger.handlers[:], logger.propagate = [], True
    try:
        yield path
    finally:
        for logger, handlers, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
