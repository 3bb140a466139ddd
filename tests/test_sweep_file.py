"""Sweep files: what a good one gives, and the one clear sentence for each mistake in a bad one."""

import re

import pytest

from kdsweep.errors import SpecError
from kdsweep.sweep_file import load, load_trial

GOOD = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 2}}
  student: {name: cnn, width: 4, stages: 2}
  strategy: {name: kd, temperature: 4}
  train: {epochs: 2, lr: 1e-3}
space:
  student.width: {choice: [2, 4]}
  train.lr: {loguniform: [1e-4, 1e-2]}
"""


@pytest.fixture
def problems(tmp_path):
    """A function: the problems of a file with the given text, and that all name the file."""

    def of(text):
        path = tmp_path / "sweep.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SpecError) as caught:
            load(path)
        assert caught.value.source == str(path)
        return list(caught.value.problems)

    return of


def changed(*pairs):
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_good_file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD)
    sweep = load(path)
    assert sweep.path == path
    assert sweep.text == GOOD
    assert sweep.spec.objectives == {"accuracy": "max", "params": "min"}
    assert sweep.spec.trial.train.lr == 0.001  # YAML 1.2: 1e-3 is a number
    assert [d.name for d in sweep.space.dimensions()] == ["student.width", "train.lr"]
    assert [s.component.settings["width"] for s in sweep.students] == [2, 4]
    assert sweep.info.num_classes == 10
    assert sweep.num_trials == 40


def test_a_grid_has_as_many_trials_as_points(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(GOOD + "search: {sampler: grid, grid_points: 4, trials: 100}\n")
    assert load(path).num_trials == 2 * 4
    path.write_text(GOOD + "search: {sampler: grid, grid_points: 4, trials: 5}\n")
    assert load(path).num_trials == 5


def test_a_missing_file():
    with pytest.raises(SpecError) as caught:
        load("nowhere/sweep.yaml")
    assert str(caught.value) == "nowhere/sweep.yaml: no such file"


def test_a_directory(tmp_path):
    with pytest.raises(SpecError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: is a folder, and a file is wanted: a sweep file, or RUN/trials/ID/trial.yaml "
        "of a trial that a run has recorded"
    )
    (tmp_path / "b.yaml").write_text("")
    with pytest.raises(SpecError, match=f"is wanted: give {re.escape(str(tmp_path))}/b.yaml$"):
        load(tmp_path)
    (tmp_path / "sweep.yaml").write_text("")
    with pytest.raises(SpecError, match=r"of a run give .*/sweep\.yaml, or .*/ID/trial\.yaml"):
        load(tmp_path)
    (tmp_path / "trial.yaml").write_text("")
    with pytest.raises(SpecError, match=f"is wanted: give {re.escape(str(tmp_path))}/trial.yaml$"):
        load_trial(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1,\nb: 2", "line 2, column 5: expected ',' or ']', but got '<stream end>'"),
        ("name: a\nname: b", 'line 2, column 1: found duplicate key "name": keep one of the two'),
        (
            "name: x\ntrial: !!python/object/apply:os.system ['true']",
            "line 2, column 8: the tag !!python/object/apply:os.system is not allowed: "
            "a sweep file holds plain data only",
        ),
        (
            "name: !mine x",
            "line 1, column 7: the tag !mine is not allowed: a sweep file holds plain data only",
        ),
        ("a: *x", "line 1, column 4: found undefined alias 'x'"),
        ("a: 1\n---\nb: 2",
         "line 2, column 1: a second document starts here: keep one for each file"),
        ("a: 1\nb: \x01", "line 2: the character 1 is not allowed in YAML"),
        ("a: 2001-99-99", "is not YAML: month must be in 1..12"),
        ("", "is empty: must be a mapping that starts with name: or trial:"),
        ("- 1", "holds list [1]: must be a mapping that starts with name: or trial:"),
        ("a: &a [*a]", "is nested deeper than 40 levels, aliases written out"),
        ("[" * 1500, "is nested deeper than 40 levels"),
        (b"\xff\xfe\x00", "is not UTF-8 text (at byte 0)"),
        (b" " * (2**22 + 1), "is larger than 4 MiB: a sweep file is a short text"),
    ],
)  # fmt: skip
def test_what_is_not_yaml(problems, text, sentence):
    assert problems(text) == [sentence]


def test_aliases_that_grow_without_bound(problems):
    lines = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert problems("\n".join(lines)) == ["holds more than 200000 values, aliases written out"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "epochs: 2, lr",
            "epoch: 2, lr",
            ["trial.train.epoch: unknown key 'epoch'; did you mean 'epochs'? (allowed: batch_size, "
             "clip_norm, compile, epochs, label_share, label_smoothing, lr, memory_format, "
             "optimizer, precision, schedule)"],
        ),
        (
            "name: small",
            "name: small\nserch: {}",
            ["serch: unknown key 'serch'; did you mean 'search'? (allowed: cluster, constraints, "
             "description, name, objectives, search, space, storage, tracking, trial)"],
        ),
        (
            "name: small",
            "name: a b",
            ["name: 'a b' is not allowed: must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"],
        ),
        ("name: small", "description: none", ["name: is missing"]),
        (
            "name: kd,",
            "name: kdd,",
            ["trial.strategy.name: no strategy named 'kdd'; did you mean 'kd'? "],
        ),
        ("name: digits", "name: digit", ["trial.data.name: no data named 'digit'; did you mean "]),
        (
            "student: {name: cnn",
            "student: {name: cmn",
            ["trial.student.name: no model named 'cmn'; did you mean 'cnn'? "],
        ),
        (
            "temperature: 4",
            "temperatur: 4",
            ["trial.strategy.temperatur: unknown key 'temperatur'; did you mean 'temperature'? "],
        ),
        (
            "temperature: 4",
            "temperature: 0",
            ["trial.strategy.temperature: 0 is not allowed: must be greater than 0"],
        ),
        ("temperature: 4", "alpha: '0.5'",
         ["trial.strategy.alpha: '0.5' is not a number: write it without quotes"]),
        ("epochs: 2, lr", "epochs: true, lr", ["trial.train.epochs: True is not a number"]),
        (
            "lr: 1e-3",
            "lr: 1e-3, optimizer: {name: sgd, momentun: 0.9}",
            ["trial.train.optimizer.momentun: unknown key 'momentun'; did you mean 'momentum'? "
             "(allowed: momentum, name, nesterov, weight_decay)"],
        ),
        (
            "lr: 1e-3",
            "lr: 1e-3, optimizer: sdg",
            ["trial.train.optimizer: 'sdg' is not allowed; did you mean 'sgd'? "
             "(allowed: 'sgd', 'adam', 'adamw')"],
        ),
        (
            "[1e-4, 1e-2]",
            "[1e-2, 1e-4]",
            ["space.train.lr: [0.01, 0.0001] is upside down: did you mean [0.0001, 0.01]?"],
        ),
        ("[1e-4, 1e-2]", "[1e-4, 1e+3]",
         ["space.train.lr: 1000.0 is not allowed: must be at most 100.0"]),
        ("choice: [2, 4]", "choice: [2, 0]",
         ["space.student.width: 0 is not allowed: must be at least 1"]),
        ("choice: [2, 4]", "choice: ['2', 4]",
         ["space.student.width: '2' is not a number: write it without quotes"]),
        (
            "train.lr:",
            "train.lrr:",
            ["space.train.lrr: unknown key 'lrr'; did you mean 'lr'? (allowed: batch_size, "
             "clip_norm, compile, epochs, label_share, label_smoothing, lr, memory_format, "
             "optimizer, precision, schedule)"],
        ),
        (
            "train.lr:",
            "train.lr.x:",
            ["space.train.lr.x: leads nowhere: train.lr is 0.001, with nothing below it"],
        ),
        (
            "train.lr:",
            "strategy.weight:",
            ["space.strategy.weight: unknown key 'weight'"],
        ),
        ("train.lr:", "name: {choice: [1]}\n  train.lr:",
         ["space.name: unknown key 'name' "
          "(allowed: data, seed, strategy, student, teacher, teachers, train, with_validation)"]),
    ],
)  # fmt: skip
def test_a_wrong_setting(problems, old, new, expected):
    found = problems(changed((old, new)))
    assert len(found) == len(expected)
    for sentence, start in zip(found, expected, strict=True):
        assert sentence.startswith(start)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "objectives: {acuracy: max}",
            "objectives.acuracy: 'acuracy' is not allowed; did you mean 'accuracy'? (allowed: "
            "'accuracy', 'loss', 'params', 'macs', 'size_bytes' or 'latency_ms')",
        ),
        ("objectives: {loss: down}", "objectives.loss: 'down' is not allowed (allowed: 'max' or "),
        ("objectives: {}", "objectives: has 0 entries: must have 1 or more"),
        (
            "objectives: {accuracy: max, loss: min, params: min, macs: min, size_bytes: min}",
            "objectives: has 5 entries: at most 4 are allowed, remove 1 or more",
        ),
        ("constraints: {params: {}}", "constraints.params: bounds nothing: give min, max or both"),
        (
            "constraints: {accuracy: {min: 0.9, max: 0.5}}",
            "constraints.accuracy: min 0.9 is above max 0.5: nothing can meet both",
        ),
        ("search: {sampler: tpee}", "search.sampler: 'tpee' is not allowed; did you mean 'tpe'?"),
        ("search: {trials: 0}", "search.trials: 0 is not allowed: must be at least 1"),
        (
            "search: {sampler: tpe, population: 9}",
            "search: population does nothing for sampler 'tpe' (it is for nsga2 or nsga3): "
            "remove it",
        ),
        (
            "search: {grid_points: 9}",
            "search: grid_points does nothing for sampler 'auto' (it is for grid): remove it",
        ),
        (
            "cluster: {gpus_per_worker: 1.5}",
            "cluster: gpus_per_worker is 1.5: above 1 it must be a whole number",
        ),
        (
            "cluster: {cpus_per_worker: 0}",
            "cluster.cpus_per_worker: 0 is not allowed: must be greater than 0",
        ),
    ],
)  # fmt: skip
def test_a_wrong_section(problems, line, expected):
    (found,) = problems(GOOD + line)
    assert found.startswith(expected)


def test_an_empty_space(problems):
    text = GOOD.partition("space:")[0]
    assert problems(text) == ["space: is missing"]
    assert problems(text + "space: {}") == [
        "space: is empty: name a path of the trial to vary, "
        "or run the trial alone with `kdsweep trial FILE`"
    ]


def test_a_student_that_cannot_take_the_images(problems):
    (found,) = problems(changed(("width: 4, stages: 2", "width: 4, stages: 4")))
    assert found.startswith("trial.student: ")
    assert "8x8" in found


def test_a_student_of_the_space_that_cannot_take_the_images(problems):
    wide = changed(("train.lr: {loguniform: [1e-4, 1e-2]}", "student.stages: {int: [1, 5]}"))
    (found,) = problems(wide)
    assert found.startswith("space.student: ")
    assert found.endswith("(with student.stages=5)")


def test_a_teacher_that_cannot_take_the_images(problems):
    (found,) = problems(changed(("width: 8, stages: 2", "width: 8, stages: 4")))
    assert found.startswith("trial.teacher.model: ")


def test_a_setting_that_no_longer_fits_a_changed_name(problems):
    (found,) = problems(changed(("student.width: {choice: [2, 4]}",
                                 "student.name: {choice: [cnn, resnet]}")))  # fmt: skip
    assert found.startswith("trial.student.stages: unknown key 'stages'") or found.startswith(
        "trial.student.width: unknown key 'width'"
    )
    assert found.endswith("(with student.name=resnet)")


def test_a_strategy_without_the_teacher_that_it_learns_from(problems):
    teacher = GOOD[GOOD.index("  teacher:") : GOOD.index("  student:")]
    assert problems(changed((teacher, ""))) == [
        "trial.teacher: is missing, and strategy 'kd' learns from one: "
        "give the trial a teacher, or use in its place what needs none: "
        "none, online, self_distillation"
    ]
    of_the_space = changed(
        (teacher, ""),
        ("{name: kd, temperature: 4}", "none"),
        ("space:", "space:\n  strategy: {choice: [none, fitnet]}"),
    )
    assert problems(of_the_space) == [
        "trial.teacher: is missing, and strategy 'fitnet' learns from one: "
        "give the trial a teacher, or use in its place what needs none: "
        "none, online, self_distillation (with strategy=fitnet)"
    ]


def test_a_branch_is_blamed_by_its_dimension(problems):
    branch = (
        "space:\n  strategy: {choice: [{name: kd, alpha: {uniform: [0, 2]}}, {name: kd, tau: 1}]}"
    )
    found = problems(changed(("space:", branch)))
    assert found[0] == "space.strategy[kd#1].alpha: 2.0 is not allowed: must be at most 1.0"
    assert found[1].startswith("space.strategy[kd#2].tau: unknown key 'tau'")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("3", "extra: 3 is not allowed: must map strategies to their settings"),
        ("{fitnett: {}}", "extra.fitnett: no strategy named 'fitnett'; did you mean 'fitnet'?"),
        ("{fitnett: null}", "extra.fitnett: no strategy named 'fitnett'; did you mean 'fitnet'?"),
        ("{kd: {}}", "extra.kd: is the main strategy already: a strategy is given once"),
        ("{fitnet: 0.5}", "extra.fitnet: 0.5 is not allowed: must be its settings, {} or null"),
        (
            "{fitnet: {weigth: 1}}",
            "extra.fitnet.weigth: unknown key 'weigth'; did you mean 'weight'?",
        ),
        ("{fitnet: {weight: -1}}", "extra.fitnet.weight: -1 is not allowed"),
        ("{fitnet: {extra: {}}}", "extra.fitnet.extra: unknown key 'extra'"),
    ],
)
def test_extra_terms(problems, extra, expected):
    (found,) = problems(changed(("temperature: 4", f"extra: {extra}")))
    assert found.startswith("trial.strategy." + expected)


def test_what_is_not_plain_data(problems):
    first, second = problems(changed(("temperature: 4", "temperature: 4, extra: {1: null}")))
    assert first == "trial.strategy.extra: the key 1 is not text: put it in quotes"
    assert second.startswith("trial.strategy.extra.1: no strategy named '1' (have: ")
    assert problems(GOOD + "description: 2001-01-01") == [
        "description: 2001-01-01 is a date: put it in quotes"
    ]


@pytest.mark.parametrize(
    "name", ["os:getcwd", ":", ".x:y", "no_such_module:Net", "json:JSONDecoder"]
)
def test_a_class_of_ones_own_that_is_none(problems, name):
    (found,) = problems(changed(("student: {name: cnn", f"student: {{name: '{name}'")))
    assert found.startswith(f"trial.student.name: {name!r} ")


def test_all_problems_are_reported_together(problems):
    text = changed(
        ("name: small", "name: a b"),
        ("data: {name: digits}", "data: {name: digits, spilt_seed: 1}"),
        ("width: 4, stages: 2}", "widht: 4}"),
        ("temperature: 4", "temperature: -1"),
        ("epochs: 2, lr: 1e-3", "epochs: 0, lr: '1e-3'"),
        ("[1e-4, 1e-2]", "[1, 0]"),
        ("choice: [2, 4]}", "choice: [2, 4]}\n  strategy.alpha: {uniform: [0, 3]}"),
    )
    paths = [problem.partition(": ")[0] for problem in problems(text + "objectives: {speed: max}")]
    assert paths == [
        "name", "trial.train.epochs", "objectives.speed", "space.train.lr", "trial.train.lr",
        "trial.data.spilt_seed", "trial.student.widht", "trial.strategy.temperature",
        "space.strategy.alpha",
    ]  # fmt: skip
