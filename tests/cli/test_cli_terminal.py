"""What a terminal gets: lines that are folded at spaces, and a word about what takes seconds."""

import os
import pty
import subprocess
import sys

import pytest
from calling import run
from hypothesis import given
from hypothesis import strategies as st
from run_records import trial_result
from small_runs import store_of

from kdsweep.cli import ended, saying, wrapped
from kdsweep.tracking import default_uri


@pytest.fixture
def terminal(monkeypatch):
    """A function: what is printed from now on goes to a terminal of so many columns."""

    def of(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)

    return of


FACT = "computed: 41 trials in float32, channels_last; 1 trial in float32, contiguous"


def test_a_pipe_has_a_line_for_each_fact(capsys):
    saying.tell(FACT)
    saying.warn(FACT)
    assert capsys.readouterr() == (f"{FACT}\n", f"warning: {FACT}\n")


def test_a_terminal_has_them_folded_at_spaces(terminal, capsys):
    terminal(40)
    saying.tell(FACT)
    out, _ = capsys.readouterr()
    # 40 columns end in "float32," of the first line and in "float32," of the second.
    assert out.splitlines() == [
        "computed: 41 trials in float32,",
        "  channels_last; 1 trial in float32,",
        "  contiguous",
    ]


def test_what_is_folded_stands_below_the_text_of_its_label(terminal, capsys):
    terminal(30)
    saying.tell(f"{'computed':16} float32, channels_last", 17)
    assert capsys.readouterr().out.splitlines() == [
        "computed         float32,",
        f"{'':17}channels_last",
    ]


@given(st.lists(st.text("abc/-._", min_size=1, max_size=60), min_size=1), st.integers(1, 120))
def test_words_are_never_broken_and_lines_fit(words, columns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        lines = wrapped.as_shown(" ".join(words)).split("\n")
    assert " ".join(lines).split() == words
    assert all(len(line) <= columns or len(line.split()) == 1 for line in lines)


def test_the_last_line_of_a_sweep_breaks_no_path(tmp_path, monkeypatch, terminal, capsys):
    monkeypatch.chdir("/")
    store = store_of(tmp_path)
    store.update_meta(tracking_uri=default_uri(store.directory.parent))
    store.write(trial_result())
    ended.print_front(store, store.read())
    one = capsys.readouterr().out.splitlines()[-1]
    assert one.startswith(f"{store.place}: the records; kdsweep ui --runs-dir ")
    terminal(80)
    ended.print_front(store, store.read())
    lines = capsys.readouterr().out.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(f"{store.place}: "))
    assert len(lines) - first > 1
    assert " ".join(" ".join(lines[first:]).split()) == one
    assert all(line.startswith("  ") for line in lines[first + 1 :])


def test_check_fits_a_terminal_that_is_narrower(home, terminal, capsys):
    terminal(60)
    assert run("check", "small.yaml") == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if len(line) > 60] == []


def test_the_verdict_of_check_stands_behind_a_path_of_any_length(home, capsys):
    path = home / ("x" * 80) / "small.yaml"
    path.parent.mkdir()
    path.write_bytes((home / "small.yaml").read_bytes())
    assert run("check", path) == 0
    assert capsys.readouterr().out.startswith(f"{path}: good\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["check", "absent.yaml"], "loading PyTorch"),
        (["trial", "absent.yaml"], "loading PyTorch"),
        (["ui", "--runs-dir", "absent"], "loading MLflow"),
    ],
)
def test_a_terminal_hears_what_takes_seconds(home, terminal, capsys, command, said):
    assert run(*command) == 2
    silent = capsys.readouterr().err
    terminal(500)
    assert run(*command) == 2
    assert capsys.readouterr().err == f"{said}\n{silent}"


def test_what_is_wrong_is_folded_as_well(home, terminal, capsys):
    terminal(40)
    assert run("ui", "--runs-dir", "absent") == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0:3] == [
        "loading MLflow",
        "error: absent: no sweep has been tracked",
        "  here yet (no mlflow.db): run one with",
    ]


def test_a_sweep_that_outlasts_its_reader_still_knows_a_terminal():
    main, side = pty.openpty()
    code = (
        "from kdsweep.cli.outlasting import outlasting\n"
        "from kdsweep.cli.saying import tell\n"
        "with outlasting():\n"
        f"    tell({FACT!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=side, env={**os.environ, "COLUMNS": "40"}, check=True
    )
    os.close(side)
    assert done.returncode == 0
    assert os.read(main, 1000).decode().split("\r\n")[1] == "  channels_last; 1 trial in float32,"
    os.close(main)
