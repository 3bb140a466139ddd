"""What the package warns of while a trial runs: a lane's own log is not what a person reads."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """The warnings of this package's loggers meanwhile, each once, in a list that grows."""
    heard = _Ear()
    logger = logging.getLogger("kdsweep")
    logger.addHandler(heard)
    try:
        yield heard.sentences
    finally:
        logger.removeHandler(heard)


class _Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if sentence not in self.sentences:
            self.sentences.append(sentence)
