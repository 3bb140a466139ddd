"""What the package warns of while a trial runs: a lane's own log is not what a person reads."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def warnings_heard(tell: Callable[[str], object] = lambda _: None) -> Iterator[list[str]]:
    """The warnings of this package's loggers meanwhile, each once, in a list that grows.

    ``tell`` hears of each at once, from whatever thread it comes.
    """
    heard = _Ear(tell)
    logger = logging.getLogger("kdsweep")
    logger.addHandler(heard)
    try:
        yield heard.sentences
    finally:
        logger.removeHandler(heard)


class _Ear(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if sentence not in self.sentences:
            self.sentences.append(sentence)
            self._tell(sentence)
