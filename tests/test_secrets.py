"""Passwords and tokens that an address carries reach no message, no log, no record."""

import json
import logging

import pytest
from calling import run

from kdsweep.errors import ResultError, SpecError, holds_secret, in_one_line, redacted
from kdsweep.search.quiet import chatter_in
from kdsweep.sweep_file import load

SWEEP = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 2, stages: 1}, train: {epochs: 1}}
  student: {name: cnn, width: 1, stages: 1}
  strategy: {name: kd}
  train: {epochs: 1}
space: {train.lr: {loguniform: [1.0e-3, 1.0e-1]}}
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:s3cret@h:5000/a?b=c", "http://h:5000/a?b=c"),
        ("at https://s3cret@h, and", "at https://h, and"),
        ("postgresql+psycopg2://me:s3/c#r?t@db:5432/m", "postgresql+psycopg2://db:5432/m"),
        ("mysql://me:s3@cret@db/m", "mysql://db/m"),
        ("http://h/?access_token=s3cret&x=1", "http://h/?access_token=***&x=1"),
        ("mssql://?odbc_connect=UID%3Dme%3BPWD%3Ds3cret", "mssql://?odbc_connect=UID%3Dme%3BPWD%3D***"),
        ("'http://h/?API_KEY=s3cret' failed", "'http://h/?API_KEY=***' failed"),
        ("https:/me:s3cret@h/sweep.yaml: no such file", "https:/h/sweep.yaml: no such file"),
        ("'me:s3cret@h:6379' is not allowed", "'h:6379' is not allowed"),
        # What is no secret stays: a port, a mail address, a path with an @ in it.
        ("http://h:5000/a@b/c", "http://h:5000/a@b/c"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("C:/me@work/sweep.yaml", "C:/me@work/sweep.yaml"),
        ("ask me@example.org or see http://h:80/", "ask me@example.org or see http://h:80/"),
    ],
)  # fmt: skip
def test_what_is_taken_out_of_a_text(text, shown):
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("http://me:pw@h", True),
        ("https://token@h", True),
        ("http://h/?token=x", True),
        ("postgresql://me:pw@db/m", True),
        ("postgresql://me@db/m", False),
        ("http://h:5000", False),
        ("sqlite:///runs/mlflow.db", False),
        ("mysql://me@db/m?read_default_file=/home/me/.my.cnf", False),
    ],
)
def test_which_addresses_hold_a_secret(address, secret):
    assert holds_secret(address) == secret


def test_an_error_quotes_no_password():
    address = "http://me:s3cret@h/"
    assert str(SpecError(f"no {address}", source=address)) == "http://h/: no http://h/"
    assert in_one_line(ValueError(f"not {address}")) == "ValueError: not http://h/"
    assert "s3cret" not in str(ResultError([f"{'x' * 90} {address}"]))


def test_what_a_library_logs_is_written_without_it(tmp_path):
    with chatter_in(tmp_path) as path:
        logging.getLogger("mlflow").warning("no answer from %s", "http://me:s3cret@h/")
    assert path.read_text().endswith(" WARNING mlflow: no answer from http://h/\n")


@pytest.mark.parametrize(
    "tracking",
    [
        "{uri: 'http://me:s3cret@127.0.0.1:9'}",
        "{uri: 'https://127.0.0.1:9/?token=s3cret'}",
        '{uri: "postgresql://a_long_name_of_a_user_that_fills_a_line_by_itself:s3cret@db/mlflow"}',
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_sweep_file_with_a_password_is_refused_without_quoting_it(
    tmp_path, monkeypatch, capsys, tracking, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(f"{SWEEP}tracking: {tracking}\n")
    assert run(command, "sweep.yaml") == 2
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err
    assert "is not allowed with a password or token in it, as the run directory keeps" in err
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "line",
    [
        "tracking: http://me:s3cret@h",
        "tracking: {url: 'http://me:s3cret@h'}",
        "tracking: {enabled: 'http://me:s3cret@h'}",
        "tracking: {uri: ['http://me:s3cret@h']}",
        "cluster: {address: ['http://me:s3cret@h']}",
        "? ['http://me:s3cret@h']\n: 1",
    ],
)
def test_a_password_at_another_place_is_not_quoted_either(tmp_path, line):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"{SWEEP}{line}\n")
    with pytest.raises(SpecError) as refused:
        load(path)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in json.dumps(refused.value.problems)


def test_what_is_wrong_in_a_command_is_said_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    assert run("run", "sweep.yaml", "--address", "me:s3cret@127.0.0.1:1") == 2
    assert capsys.readouterr().err.endswith("no name, no password\n")
    (tmp_path / "sweep.yaml").write_text(f"{SWEEP}cluster: {{address: 'me:s3cret@h:1'}}\n")
    assert run("check", "sweep.yaml") == 2
    assert "s3cret" not in (err := capsys.readouterr().err)
    assert err.endswith("no name, no password\n")
    assert run("check", "https://me:s3cret@h/sweep.yaml") == 2
    assert capsys.readouterr().err.startswith("error: 'https://h/sweep.yaml' is not allowed")
