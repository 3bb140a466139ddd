"""A sweep does not end with whoever reads what it prints."""

import os
import subprocess
import sys

import pytest

from kdsweep.cli.outlasting import outlasting

PRINTS = """
import sys, typer
from rich.console import Console
from kdsweep.cli.outlasting import outlasting

with outlasting():
    console = Console()
    typer.echo("first")
    sys.stdin.readline()
    for number in range(3):
        typer.echo("nobody reads this")
        console.print("nor this")
        print("nor that", file=sys.stderr, flush=True)
    open(sys.argv[1], "w").write("to the end")
"""


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def printing(tmp_path, request):
    """A process that prints, and goes on when it is told to; and the file that it writes last."""
    out_end, out = os.pipe()
    err_end, err = os.pipe()
    last = tmp_path / "last"
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS, str(last)],
        stdin=subprocess.PIPE, stdout=out, stderr=err,
        env={**os.environ, "PYTHONUNBUFFERED": request.param},
    )  # fmt: skip
    os.close(out), os.close(err)
    yield process, out_end, err_end, last
    process.kill()
    process.communicate()


def test_it_goes_on_where_its_output_is_closed(printing):
    process, out, err, last = printing
    assert os.read(out, 100) == b"first\n"
    os.close(out)
    os.close(err)
    process.communicate(b"go on\n", timeout=120)
    assert process.returncode == 0
    assert last.read_text() == "to the end"


def test_what_is_read_is_whole(printing):
    process, out, err, _ = printing
    process.communicate(b"go on\n", timeout=120)
    with os.fdopen(out) as file, os.fdopen(err) as errors:
        assert file.read() == "first\n" + 3 * "nobody reads this\nnor this\n"
        assert errors.read() == 3 * "nor that\n"


def test_streams_of_a_test_or_a_notebook_stay_as_they_are(capsys):
    before = sys.stdout, sys.stderr
    with outlasting():
        assert (sys.stdout, sys.stderr) == before
        print("said")
    assert capsys.readouterr().out == "said\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_that_is_read_no_further_has_an_exit_code_of_its_own(tmp_path, unbuffered):
    end, out = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "kdsweep", "list", str(tmp_path), "--json"],
        stdout=out, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        check=False, text=True,
    )  # fmt: skip
    os.close(out)
    assert (done.returncode, done.stderr) == (141, "")
