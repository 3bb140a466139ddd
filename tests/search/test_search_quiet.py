"""The chatter of the libraries: in a file, not on the screen."""

import logging
import subprocess
import sys
import warnings

import pytest

from kdsweep.results.names import LOG_FILE
from kdsweep.search.quiet import LOUD, chatter_in, hushed


class Screen(logging.Handler):
    def emit(self, record):
        print(record.getMessage(), file=sys.stderr)


@pytest.fixture
def loud():
    """A library that has its own handler on the screen, as Ray and MLflow do."""
    logger = logging.getLogger("ray.tune")
    before = (logger.handlers[:], logger.propagate, logger.level)
    logger.handlers[:], logger.propagate = [Screen()], False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])


def everything():
    loggers = [logging.getLogger(), *map(logging.getLogger, LOUD)]
    state = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    return state, logging.lastResort, warnings.showwarning


def test_what_libraries_say_goes_to_the_file(loud, tmp_path, capsys):
    with hushed(), chatter_in(tmp_path) as path:
        loud.info("a trial began")
        logging.getLogger("ray.train.somewhere").warning("a worker is slow")
        logging.getLogger("a.library.nobody.thought.of").error("it broke")
    assert path == tmp_path / LOG_FILE
    lines = path.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO ray.tune: a trial began",
        "WARNING ray.train.somewhere: a worker is slow",
        "ERROR a.library.nobody.thought.of: it broke",
    ]
    assert capsys.readouterr() == ("", "")


def test_that_tune_finds_no_files_of_its_own_is_no_news(tmp_path):
    with hushed(), chatter_in(tmp_path) as path:
        of_tune = logging.getLogger("ray.tune.analysis.experiment_analysis")
        of_tune.warning("Failed to fetch metrics for 3 trial(s):")
        of_tune.error("something else")
    (line,) = path.read_text().splitlines()
    assert line.endswith("something else")


def test_warnings_go_to_the_file_too(tmp_path, capsys):
    # In a process of its own: pytest catches warnings itself.
    script = (
        "import sys, warnings\n"
        "from pathlib import Path\n"
        "from kdsweep.search.quiet import chatter_in, hushed\n"
        "with hushed(), chatter_in(Path(sys.argv[1])):\n"
        "    warnings.warn('an option is old', FutureWarning)\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert "FutureWarning: an option is old" in (tmp_path / LOG_FILE).read_text()


def test_what_libraries_say_before_there_is_a_file_is_dropped(loud, capsys):
    with hushed():
        loud.warning("starting")
        logging.getLogger("a.library.nobody.thought.of").error("it broke")
    assert capsys.readouterr() == ("", "")


def test_a_second_sweep_adds_to_the_file(loud, tmp_path):
    for word in ("first", "second"):
        with chatter_in(tmp_path):
            loud.info(word)
    assert [line.split()[-1] for line in (tmp_path / LOG_FILE).open()] == ["first", "second"]


def test_logging_is_as_before_also_after_a_failure(loud, tmp_path, capsys):
    before = everything()
    with pytest.raises(RuntimeError, match="broke"), hushed(), chatter_in(tmp_path):
        raise RuntimeError("broke")
    assert everything() == before
    loud.warning("heard again")
    assert capsys.readouterr().err == "heard again\n"
    assert "heard again" not in (tmp_path / LOG_FILE).read_text()
