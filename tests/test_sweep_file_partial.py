"""One mistake gives one sentence: what was refused is not missed as well; the rest is checked."""

import pytest

from kdsweep.errors import SpecError
from kdsweep.sweep_file import load, load_trial
from kdsweep.sweep_file.partial import partial

TEACHER = "{model: {name: cnn, width: 8, stages: 2}, train: {epochs: 2}}"
TEXT = """
name: small
trial:
  data: digits
  TEACHER: {teacher}
  student: {{name: cnn, width: 4, stages: 2}}
  strategy: {strategy}
  {more}
space:
  student.width: {{choice: [2, 4]}}
  {space}
"""


@pytest.fixture
def begun(tmp_path):
    """A function: the problems of a file, each without what stands after what was found."""

    def of(*, teacher=TEACHER, strategy="kd", more="", space="", key="teacher", read=load):
        path = tmp_path / "sweep.yaml"
        text = TEXT.format(teacher=teacher, strategy=strategy, more=more, space=space)
        path.write_text(text.replace("TEACHER", key))
        with pytest.raises(SpecError) as caught:
            read(path)
        return [" ".join(problem.split()[:3]) for problem in caught.value.problems]

    return of


BOTH = "{model: cnn, weights: x.pt, train: {epochs: 2}}"
CHOICE = "strategy: {choice: [kd, {name: fitnet, weight: {uniform: [0.5, 1]}}, none]}"
PAIR = (
    "pair: {together: [{name: a, teacher.model.width: 8, seed: 1}, "
    "{name: b, teacher.model.width: 16, seed: 2}]}"
)


@pytest.mark.parametrize("space", ["", CHOICE, "teacher.model.width: {choice: [8, 16]}", PAIR])
@pytest.mark.parametrize(
    ("teacher", "first"),
    [("resnet18", "trial.teacher: 'resnet18' is"), ("[cnn]", "trial.teacher: ['cnn'] is"),
     (BOTH, "trial.teacher: give either"), ("{}", "trial.teacher.model: is missing"),
     ("{model: {width: 8}}", "trial.teacher.model.name: is missing")],
)  # fmt: skip
def test_a_teacher_that_was_refused_is_not_missed(begun, teacher, first, space):
    assert begun(teacher=teacher, space=space) == [first]
    assert begun(teacher=teacher, space=space, read=load_trial) == [first]


def test_a_teacher_whose_key_is_misspelt_is_not_missed(begun):
    assert begun(key="tacher", space=CHOICE) == ["trial.tacher: unknown key"]


def test_a_strategy_that_was_refused_asks_for_no_teacher_by_default(begun):
    assert begun(teacher="null", strategy="5") == ["trial.strategy: 5 is"]


def test_further_teachers_that_were_refused_are_not_missed(begun):
    several = "{name: multi_teacher, teachers: [teacher, a]}"
    two = f"teachers: {{a: resnet, b: {TEACHER}}}"
    lists = "strategy.teachers: {choice: [[teacher, a], [teacher, b]]}"
    found = begun(strategy=several, more=two, space=lists)
    assert found == ["trial.teachers.a: 'resnet' is"]
    other = several.replace("a]", "c]")
    assert begun(strategy=other, more=two) == [found[0], "trial.strategy.teachers.1: no teacher"]
    settings = "teachers: {a: {model: {name: cnn, width: wide}}}"
    assert begun(strategy="multi_teacher", more=settings) == [
        "trial.teachers.a.model.width: 'wide' is"
    ]
    assert begun(teacher="resnet18", strategy="multi_teacher", more=f"teachers: {{a: {TEACHER}}}"
                 ) == ["trial.teacher: 'resnet18' is"]  # fmt: skip


@pytest.mark.parametrize("teacher", ["resnet18", "{}", "{model: {width: 8}}"])
def test_the_rest_is_checked_beside_a_teacher_that_was_refused(begun, teacher):
    found = begun(teacher=teacher, strategy="{name: kd, temperature: -1}", more="seed: -1")
    assert found[0].startswith("trial.teacher")
    assert found[1:] == ["trial.seed: -1 is", "trial.strategy.temperature: -1 is"]


def test_a_word_that_is_no_number_is_not_told_to_lose_its_quotes(begun):
    assert begun(more="train: {epochs: many, lr: '0.1'}") == [
        "trial.train.epochs: 'many' is", "trial.train.lr: '0.1' is"
    ]  # fmt: skip


def test_too_little_is_no_trial():
    left = partial({"data": "digits", "teacher": "resnet18"})
    assert left.trial is None
    assert left.taken == {"teacher"}
    assert partial(None).trial is None
    assert partial({"teachers": {"teacher": {"model": "cnn"}}}).trial is None
