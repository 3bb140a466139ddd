"""``together``: one choice that sets several paths of the trial, as a teacher with its student."""

import pytest

from kdsweep.errors import SpecError
from kdsweep.spec import Space
from kdsweep.sweep_file import at, load

SMALL = {"name": "small", "teacher.seed": 1, "student": {"name": "cnn", "width": 4}}
LARGE = {
    "name": "large",
    "teacher.seed": 2,
    "student": {"name": "cnn", "width": {"choice": [8, 16]}},
}
RAW = {"pair": {"together": [SMALL, LARGE]}, "train.lr": {"loguniform": [1e-3, 1e-1]}}

SWEEP = """
name: pairs
trial:
  data: digits
  teacher: {model: {name: cnn, width: 8, stages: 2}}
  student: {name: cnn, width: 4, stages: 2}
space:
  pair:
    together:
      - {name: small, teacher.model: {name: cnn, width: 8, stages: 2},
         student: {name: cnn, width: 4, stages: 2}}
      - {name: large, teacher.model: {name: cnn, width: 32, stages: 2},
         student: {name: cnn, width: {choice: [8, 16]}, stages: 2}}
  strategy: {choice: [none, kd]}
"""


def refusal(raw):
    with pytest.raises(SpecError) as caught:
        Space.parse(raw)
    return list(caught.value.problems)


def written(tmp_path, text):
    path = tmp_path / "pairs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_member_sets_all_of_its_paths():
    space = Space.parse(RAW)
    low = space.resolve(lambda dimension: dimension.ends()[0])
    assert low.params == {"pair": "small", "train.lr": 1e-3}
    assert low.changes == {
        "teacher.seed": 1,
        "student": {"name": "cnn", "width": 4},
        "train.lr": 1e-3,
    }
    high = space.resolve(lambda dimension: dimension.ends()[-1])
    assert high.params == {"pair": "large", "pair[large].student.width": 16, "train.lr": 1e-1}
    assert high.changes == {
        "teacher.seed": 2,
        "student": {"name": "cnn", "width": 16},
        "train.lr": 1e-1,
    }


def test_what_is_inside_a_member_is_conditional_and_knows_its_path():
    found = {d.name: (d.path, d.conditions) for d in Space.parse(RAW).dimensions()}
    assert found == {
        "pair": ("pair", ()),
        "pair[large].student.width": ("student.width", (("pair", "large"),)),
        "train.lr": ("train.lr", ()),
    }


def test_the_grid_never_mixes_the_members():
    space = Space.parse(RAW)
    points = list(space.grid(2))
    assert space.grid_size(2) == len(points) == (1 + 2) * 2
    pairs = {(point.changes["teacher.seed"], point.changes["student"]["width"]) for point in points}
    assert pairs == {(1, 4), (2, 8), (2, 16)}


def test_corners_reach_every_member_alone():
    changes = [corner.changes for corner in Space.parse(RAW).corners()]
    alone = [each for each in changes if "train.lr" not in each]
    assert {"teacher.seed": 1, "student": {"name": "cnn", "width": 4}} in alone
    assert {"teacher.seed": 2, "student": {"name": "cnn", "width": 16}} in alone


def test_the_part_under_a_path_keeps_what_is_set_together_with_it():
    space = Space.parse(RAW)
    for path in ("student", "teacher", "teacher.seed"):
        assert [name for name, _ in space.under(path).entries] == ["pair"]
    assert [name for name, _ in space.under("train").entries] == ["train.lr"]
    assert space.under("pair").entries == ()


@pytest.mark.parametrize("drawn", ["small", "large"])
def test_what_was_drawn_is_found_again(drawn):
    space = Space.parse(RAW)
    point = space.resolve(lambda d: drawn if d.name == "pair" else d.ends()[-1])
    trial = {
        "teacher": {"seed": point.changes["teacher.seed"]},
        "student": point.changes["student"],
        "train": {"lr": point.changes["train.lr"]},
    }
    assert space.locate(trial) == point.params
    mixed = {**trial, "teacher": {"seed": 3 - point.changes["teacher.seed"]}}
    assert space.locate(mixed) is None
    assert space.locate({"student": trial["student"], "train": trial["train"]}) is None


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (
            {"pair": {"together": []}},
            "space.pair: together is []: must be a list of one member or more",
        ),
        (
            {"pair": {"together": [{"seed": 1}]}},
            "space.pair: member 1 of together is {'seed': 1}: must be a mapping with a name "
            "(without dots and brackets), and values for dotted paths of the trial",
        ),
        (
            {"pair": {"together": [{"name": "a.b", "seed": 1}]}},
            "space.pair: member 1 of together is {'name': 'a.b', 'seed': 1}: must be a mapping "
            "with a name (without dots and brackets), and values for dotted paths of the trial",
        ),
        (
            {"pair": {"together": [{"name": "a"}]}},
            "space.pair: member 'a' of together: it sets nothing: give it values for dotted paths",
        ),
        (
            {"pair": {"together": [{"name": "a", "train..lr": 1}]}},
            "space.pair: member 'a' of together: 'train..lr' is not a path: give it values for "
            "dotted paths",
        ),
        (
            {"pair": {"together": [{"name": "a", "seed": 1}, {"name": "b", "train.lr": 1}]}},
            "space.pair: members 'a' and 'b' of together differ in what they set (seed, "
            "train.lr): every member must set the same paths",
        ),
        (
            {"pair": {"together": [{"name": "a", "seed": 1}, {"name": "a", "seed": 2}]}},
            "space.pair: two members of together are called 'a': rename one",
        ),
        (
            {"pair": {"together": [{"name": "a", "seed": 1}], "choice": [1]}},
            "space.pair: unknown key 'choice' (allowed beside together: nothing)",
        ),
        (
            {"pair": {"together": [{"name": "a", "train.lr": 1}]}, "train": {"choice": [{}]}},
            "space.pair: train.lr: lies inside space.train, which sets it as well: "
            "keep one of the two",
        ),
        (
            {"pair": {"together": [{"name": "a", "seed": 1}]}, "seed": {"int": [1, 2]}},
            "space.seed: space.pair: seed sets it as well: keep one",
        ),
        (
            {"pair": {"together": [{"name": "a", "train": {}, "train.lr": 1}]}},
            "space.pair: train.lr: lies inside space.pair: train, which sets it as well: "
            "keep one of the two",
        ),
        (
            {"pair": {"togehter": []}},
            "space.pair: unknown key 'togehter'; did you mean 'together'? "
            "(allowed: choice, uniform, loguniform, int, together)",
        ),
    ],
)
def test_each_mistake_has_its_sentence(raw, sentence):
    assert refusal(raw) == [sentence]


def test_a_sweep_of_pairs_is_checked_at_every_member(tmp_path):
    sweep = load(written(tmp_path, SWEEP))
    widths = [student.component.settings["width"] for student in sweep.students]
    assert widths == [4, 8, 16]
    kd = at(sweep.spec, {"strategy": "kd"})
    assert sweep.locate(kd) == {"pair": "small", "strategy": "kd"}
    large = {"teacher.model": {"name": "cnn", "width": 32, "stages": 2}}
    assert sweep.locate(at(kd, large)) is None


def test_a_mistake_in_a_member_is_named_with_its_place(tmp_path):
    wrong = SWEEP.replace("width: 32", "width: 0").replace("width: {choice", "witdh: {choice")
    with pytest.raises(SpecError) as caught:
        load(written(tmp_path, wrong))
    found = [problem.split(" is ")[0].split("; ")[0] for problem in caught.value.problems]
    assert found[0] == "space.pair[large].teacher.model.width: 0"
    assert "space.pair[large].student.witdh: unknown key 'witdh'" in found
