"""The help of every command reads well in 80 columns and shows how the command is called."""

import typer
from typer.testing import CliRunner

from kdsweep.cli import app

COMMANDS = typer.main.get_command(app).commands


def lines_of(name):
    said = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"})
    assert said.exit_code == 0
    return said.stdout.splitlines()


def test_there_are_commands():
    assert {"run", "trial", "front", "select", "compare", "list", "status"} <= set(COMMANDS)


def test_each_says_what_it_does_in_a_sentence_then_explains():
    for name in COMMANDS:
        said = "\n".join(lines_of(name)).split("\n\n")
        sentence = " ".join(said[1].split())
        assert sentence.endswith("."), name
        assert sentence[0].isupper(), name
        assert len(sentence) <= 78, name
        assert len(said[2].split()) >= 8, f"{name} explains nothing"


def test_each_has_a_block_of_examples():
    for name in COMMANDS:
        lines = lines_of(name)
        (at,) = (i for i, line in enumerate(lines) if line.strip() in ("Example:", "Examples:"))
        block = lines[at + 1 : lines.index("", at)]
        assert all(line.startswith(f"    kdsweep {name}") for line in block), name
        assert (len(block) == 1) == (lines[at].strip() == "Example:"), name


def test_no_line_is_wider_than_80_columns():
    for name in COMMANDS:
        assert [line for line in lines_of(name) if len(line) > 80] == [], name


def test_every_option_is_explained():
    for name, command in COMMANDS.items():
        for given in command.params:
            assert getattr(given, "help", None), f"{name} {given.name}"


def test_the_list_of_commands_has_whole_sentences():
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    listed = [line for line in said.splitlines() if line.strip().split(" ")[0] in COMMANDS]
    assert {line.split()[0] for line in listed} == set(COMMANDS)
    assert [line for line in listed if line.endswith("...")] == []
