"""The guides are typed from start to end: files, cells of a notebook, and commands, in order."""

import ast
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
from calling import run
from PIL import Image
from swept_here import swept_here

import kdsweep
from kdsweep.export.inputs import contract_of
from kdsweep.export.student import student_of
from kdsweep.sweep_file.read import parse_yaml

ROOT = Path(__file__).parent.parent
GUIDES = [*sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "docs" / "notebook.md"]
DIGITS = "search_spaces/digits.yaml"
# What waits for ever, needs a cluster or a store, or starts Ray: test_docs parses these lines.
NOT_RUN = ("confirm", "extend", "logs", "resume", "stop", "submit", "sync", "ui")
ELSEWHERE = ("s3://", "--address", "--elsewhere")
TRIALS, EPOCHS = 4, 2
"""Of a sweep of a guide, which is trained in this process: `kdsweep run` itself is tested apart."""


def steps(text):
    """What a reader types, in order: a block with its language, or a command."""
    pattern = r"^```(\w+)\n(.*?)^```|^ {4}(kdsweep [^\n]+)$"
    for language, block, command in re.findall(pattern, text, re.M | re.S):
        yield ("command", command) if command else (language, block)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The run of the quickstart, its first trials in full."""
    home = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        swept_here(ROOT / DIGITS, trials=10)
    return home / "runs"


@pytest.fixture
def workplace(digits, tmp_path, monkeypatch):
    """Where somebody works who has done the quickstart."""
    shutil.copytree(digits, tmp_path / "runs")
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    for number in range(60):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (4 * number, 90, 200)).save(folder / f"{number}.png")
    kinds = {"weather": ("rain", "sun", "snow", "storm"), "food": ("bread", "soup", "rice", "cake")}
    rows = [
        f"{noun} {day},{label}" for label, nouns in kinds.items() for noun in nouns
        for day in ("today", "tomorrow", "on friday", "at noon", "again", "for once")
    ]  # fmt: skip
    (tmp_path / "notes.csv").write_text("\n".join(["text,label", *rows]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # A picture that is the last line of a cell would be shown in a browser.
    monkeypatch.setattr("plotly.io.renderers.render_on_display", False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_can_be_typed_from_start_to_end(path, workplace):
    cells = {"__name__": "__main__"}
    for kind, what in steps(path.read_text(encoding="utf-8")):
        if kind == "command":
            ran(what)
        elif file := re.match(r"# ([\w/]+\.(?:py|yaml))\n", what):
            (workplace / file[1]).write_text(what, encoding="utf-8")
        elif kind == "python":
            cell(what, cells)
        else:
            assert kind in ("text", "console"), f"which file is this? {what[:60]!r}"


def ran(line):
    """Run a command as printed; of a sweep its first trials, shortened, without Ray."""
    name, *arguments = shlex.split(line)[1:]
    if any(word in line for word in ELSEWHERE):
        return
    if name == "run":
        file, *named = arguments
        if file != DIGITS or named:
            swept_here(file, name=named[1] if named else None, trials=TRIALS, epochs=EPOCHS)
    elif name not in NOT_RUN:
        assert run(name, *arguments) == 0, line


def cell(code, names):
    """Run a cell as Jupyter does; what its last line gives is displayed."""
    from IPython.core.formatters import DisplayFormatter

    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is None:
        return
    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    shown, _ = DisplayFormatter().format(value)
    if value is not None and not hasattr(value, "_ipython_display_"):  # as figures have: it is done
        wanted = {"text/html"} if hasattr(value, "_repr_html_") else set()
        # A display that fails is only printed by IPython.
        assert {"text/plain", *wanted} <= set(shown), type(value)


def test_the_students_of_the_front_say_what_their_records_say(digits):
    sweep = kdsweep.load(digits / "digits")
    validation = sweep.data(sweep.front.iloc[0]).validation
    for row in sweep.front.itertuples():
        student = student_of(sweep._store, sweep.trial(row))
        contract = contract_of(student, sweep.data(row))
        ready = sweep.student(row)
        right = sum(
            (ready(contract.raw(each.inputs["images"])).argmax(dim=1) == each.labels).sum().item()
            for each in validation.in_order(batch_size=128)
        )
        assert right / validation.num_samples == row.accuracy


def test_there_is_something_to_type_in_every_guide():
    for path in GUIDES:
        kinds = [kind for kind, _ in steps(path.read_text(encoding="utf-8"))]
        assert "command" in kinds or "python" in kinds, path.name


def test_every_file_that_a_guide_writes_is_one_that_can_be_read():
    for path in GUIDES:
        for kind, what in steps(path.read_text(encoding="utf-8")):
            if kind == "yaml":
                assert parse_yaml(what)[1] == []
            if kind == "python":
                ast.parse(what)


def test_a_step_that_fails_would_be_found(workplace):
    with pytest.raises(AssertionError):
        ran("kdsweep select runs/digits --max-params 1")
    with pytest.raises(NameError):
        cell("absent", {})
    with pytest.raises(AssertionError):
        cell("class Odd:\n def _repr_html_(self): raise ValueError\nOdd()", {})
    assert list(steps("```python\n1\n```\nthen\n\n    kdsweep front a\n")) == [
        ("python", "1\n"), ("command", "kdsweep front a"),
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
