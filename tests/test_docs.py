"""What README.md and docs/ print works: sweep files, classes, commands and links."""

import re
import shlex
import struct
import sys
from pathlib import Path

import pytest
import torch
import typer
from PIL import Image
from transformers import BertConfig, BertForSequenceClassification
from typer.testing import CliRunner

from kdsweep import catalog
from kdsweep.cli import app
from kdsweep.data.text.settings import TextSettings
from kdsweep.errors import SpecError
from kdsweep.spec import Component, TrialSpec
from kdsweep.sweep_file import load, load_trial, to_yaml
from kdsweep.sweep_file.read import parse_yaml
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session

ROOT = Path(__file__).parent.parent
# What is typed from start to end, by test_docs_guides.
TYPED = [ROOT / "docs" / "notebook.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
DOCUMENTS = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md"), *TYPED})]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in DOCUMENTS}
assert len(TEXTS) == len(DOCUMENTS), "two documents have the same name"
USAGE_ERROR = typer.BadParameter.__base__
# What a part of a file is put into; every part of the docs must be good in it.
WHOLE = {
    "name": "whole",
    "trial": {
        "data": {"name": "digits"},
        "teacher": {"model": {"name": "cnn", "width": 8, "stages": 2}},
        "student": {"name": "cnn", "width": 4, "stages": 2},
    },
    "space": {"train.lr": {"loguniform": [1e-3, 1e-2]}},
    "cluster": {"concurrent_trials": 1},
}
# The networks where a part compares the blocks of transformers.
VIT = {"name": "vit", "patch": 2, "width": 48, "depth": 1, "heads": 2}
OF_TRANSFORMERS = {"data": {"name": "digits"}, "teacher": {"model": VIT}, "student": VIT}
# The trial where a part is of texts.
OF_TEXTS = {
    "data": {"name": "docstrings"},
    "teacher": {"model": {"name": "text_cnn"}},
    "student": {"name": "text_cnn", "width": 4, "filters": 4},
}


def fenced(language):
    """Every fenced block of a language, with the name of its document and its number there."""
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name, text in TEXTS.items() if name not in {path.name for path in TYPED}
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S))
    ]  # fmt: skip


YAML, PYTHON = fenced("yaml"), fenced("python")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A directory with the images and classes that the documents speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for number in range(20):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (70, 70), (9 * number, 40, 200)).save(folder / f"{number}.png")
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 0x803, 100, 28, 28) + bytes(100 * 28 * 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">II", 0x801, 100) + bytes(number % 10 for number in range(100))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    model_directory(tmp_path / "models" / "bert-base-uncased")
    pairs_of_texts(tmp_path / "data" / "MNLI")
    modules = [written(block.values[0], tmp_path) for block in PYTHON]
    yield tmp_path
    for module in modules:
        sys.modules.pop(module, None)


def model_directory(directory):
    """What `pretrained` names: a tokenizer, and a configuration with its weights."""
    directory.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
    (directory / "vocab.txt").write_text("\n".join(words))
    sizes = {
        "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "max_position_embeddings": 128, "vocab_size": len(words),
    }  # fmt: skip
    BertForSequenceClassification(BertConfig(**sizes)).save_pretrained(directory)


def pairs_of_texts(directory):
    """Files as GLUE's."""
    directory.mkdir(parents=True)
    labels = ("neutral", "entailment", "contradiction")
    rows = [f"a\tb\t{labels[number % 3]}\n" for number in range(30)]
    for name in ("train.tsv", "dev_matched.tsv"):
        (directory / name).write_text("".join(["sentence1\tsentence2\tgold_label\n", *rows]))


def written(block, directory):
    """Write a block of Python to the file that its first line names; the module's name."""
    name = re.match(r"# (\w+)\.py\n", block)
    assert name, f"the first line must name the file, as in '# own.py': {block[:40]!r}"
    (directory / f"{name[1]}.py").write_text(block, encoding="utf-8")
    return name[1]


def check(block, directory):
    """Load a block as a sweep file or trial file, or as a part of one."""
    given, problems = parse_yaml(block)
    assert problems == []
    path = directory / "printed.yaml"
    path.write_text(block, encoding="utf-8")
    if "space" in given and "trial" in given:
        return load(path)
    if "trial" in given:
        return load_trial(path)
    of_trial = {key: value for key, value in given.items() if key in TrialSpec.model_fields}
    others = {key: value for key, value in given.items() if key not in of_trial}
    base = OF_TEXTS if reads_texts(of_trial) else WHOLE["trial"]
    if "transformer" in str(of_trial.get("strategy")):
        base = OF_TRANSFORMERS
    path.write_text(to_yaml({**WHOLE, **others, "trial": {**base, **of_trial}}))
    return load(path)


def reads_texts(given):
    """Whether the data of a part, or else a network in it, are of texts."""
    if "data" in given:
        named = Component.model_validate(given["data"])
        return issubclass(catalog.find("data", named.name).Params, TextSettings)
    networks = [given.get("student"), given.get("teacher", {}).get("model")]
    named = [Component.model_validate(network).name for network in networks if network]
    return any(getattr(catalog.find("model", name), "reads", None) == "tokens" for name in named)


@pytest.mark.parametrize("block", YAML)
def test_a_printed_sweep_file_is_good(block, workplace):
    check(block, workplace)


def test_a_wrong_block_would_be_found(workplace):
    for wrong in ("train: {epoch: 3}", "search: {sampler: tpee}", "trial: {data: digits}"):
        with pytest.raises(SpecError):
            check(wrong, workplace)


@pytest.mark.parametrize("block", [block for block in YAML if block.values[0].startswith("trial:")])
def test_a_printed_trial_trains(block, workplace):
    trial = check(block, workplace)
    session = Session(device=torch.device("cpu"), teachers=workplace / "teachers")
    outcome = session.run(trial, lambda epoch: Verdict.CONTINUE)
    assert outcome.status == "complete", outcome.error


def test_there_is_an_example_of_each_own_class():
    first_lines = {block.values[0].split("\n", 1)[0] for block in PYTHON}
    assert first_lines == {
        "# two_layers.py",
        "# stripes.py",
        "# logit_matching.py",
        "# channel_wise.py",
    }


def command_lines():
    """Every ``kdsweep ...`` in code, inline or on a line of its own."""
    found = {}
    for name, text in TEXTS.items():
        code = [
            *re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text),
            *re.findall(r"^ {4}(.+)$", text, re.M),
        ]
        for line in code:
            match = re.search(r"^(?:.*&& )?(?:PYTHONPATH=\. )?(?:uv run )?kdsweep (.+)$", line)
            if match:
                found[match[1]] = pytest.param(match[1], id=f"{name}: {match[1]}")
    return list(found.values())


@pytest.mark.parametrize("line", command_lines())
def test_a_printed_command_is_one_that_there_is(line):
    parsed(line)


def parsed(line):
    """The command's name, all its arguments parsed; a wrong one raises."""
    name, *arguments = shlex.split(line, comments=True)
    commands = typer.main.get_command(app).commands
    assert name in commands
    # A run at an address would be looked for there.
    local = {each: "runs/digits" for each in arguments if each.startswith(("s3://", "gs://"))}
    arguments = [local.get(each, each) for each in arguments]
    if arguments:  # else it is the command's name, in a sentence
        commands[name].make_context(name, arguments)
    sweep_files = [ROOT / part for part in arguments if part.startswith("search_spaces/")]
    assert all(path.is_file() for path in sweep_files)
    return name


def test_every_command_is_printed_somewhere():
    assert {parsed(line.values[0]) for line in command_lines()} == set(
        typer.main.get_command(app).commands
    )


def test_a_wrong_command_would_be_found():
    for wrong in ("frnt runs/digits", "front runs/digits --jsn", "select --json", "list a b"):
        with pytest.raises((AssertionError, USAGE_ERROR)):
            parsed(wrong)


@pytest.mark.parametrize("name", ["", *typer.main.get_command(app).commands])
def test_the_help_of_a_command_fits_80_columns_and_its_examples_are_good(name):
    said = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"})
    lines = said.stdout.splitlines()
    assert said.exit_code == 0
    assert [line for line in lines if len(line) > 80] == []
    examples = [line.split("  ")[0] for line in map(str.strip, lines) if line[:8] == "kdsweep "]
    assert examples
    for example in examples:
        if "COMMAND" not in example:
            assert parsed(example.removeprefix("kdsweep ")) == (name or example.split()[1])


def test_the_commands_of_the_readme_are_the_exact_ones():
    for command in ("uv run kdsweep run search_spaces/digits.yaml", "uv run pytest"):
        assert f"\n    pip install uv && {command}\n" in TEXTS["README.md"]


def test_the_readme_names_every_strategy():
    named = set(re.findall(r"`(\w+)`", TEXTS["README.md"]))
    assert set(catalog.names("strategy")) - {"none"} <= named


def slug(heading):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[path.name]):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        aim = path.parent / file if file else path
        assert aim.exists(), f"{target} in {path.name}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", aim.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), f"{target} in {path.name}"
