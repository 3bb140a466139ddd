"""What ``kdsweep check`` says where teachers vary and where students do not."""

from calling import run
from small_runs import SWEEP

TEACHERS = SWEEP.replace(
    "  student.width: {choice: [2, 4]}",
    "  teacher.model.width: {choice: [4, 8]}\n  train.lr: {choice: [0.1, 0.01]}",
)


def test_teachers_that_vary_are_named_each(home, capsys):
    (home / "small.yaml").write_text(TEACHERS)
    assert run("check", "small.yaml") == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("  teacher     2 at the ends of the space, which varies it:")
    assert lines[at + 1 : at + 3] == [
        "              cnn, trained first for 1 epoch, model.width=4",
        "              cnn, trained first for 1 epoch, model.width=8",
    ]


def test_of_many_teachers_the_first_few(home, capsys):
    more = TEACHERS.replace("choice: [4, 8]", "choice: [4, 5, 6, 7, 8, 9]")
    (home / "small.yaml").write_text(more)
    assert run("check", "small.yaml") == 0
    out = capsys.readouterr().out
    assert "  teacher     6 at the ends of the space, which varies it:\n" in out
    assert "model.width=7\n              and 2 more\n" in out


def test_of_several_teachers_only_one_of_which_varies(home, capsys):
    further = TEACHERS.replace(
        "  strategy: {name: kd, temperature: 2.0, alpha: 0.5}",
        "  teachers: {large: {model: {name: cnn, width: 6, stages: 2}, train: {epochs: 2}}}\n"
        "  strategy: {name: multi_teacher}",
    )
    (home / "small.yaml").write_text(further)
    assert run("check", "small.yaml") == 0
    out = capsys.readouterr().out
    assert "  teacher     teacher: 2 at the ends of the space, which varies it:\n" in out
    assert "\n              large: cnn, trained first for 2 epochs\n" in out


def test_students_of_one_size_are_shown_once(home, capsys):
    (home / "small.yaml").write_text(TEACHERS)
    assert run("check", "small.yaml") == 0
    out = capsys.readouterr().out
    assert out.count("cnn width=2") == 1
    (home / "small.yaml").write_text(SWEEP)
    assert run("check", "small.yaml") == 0
    out = capsys.readouterr().out
    assert (out.count("cnn width=2"), out.count("cnn width=4")) == (1, 1)
