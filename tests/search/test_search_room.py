"""One budget of bytes: what goes when it is used up, in which order, and what never does."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep.results.meta import RunMeta
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search.room import Room

OBJECTIVES = {"accuracy": "max", "params": "min"}
SIZE = 1000


def trial(number, accuracy, params, **more):
    given_ = {
        "trial_id": f"{number:05d}", "number": number, "status": "complete", "name": "none w4",
        "trial": {}, "metrics": {"accuracy": accuracy, "params": params}, "started": 100.0 * number,
        "seconds": 5.0, "weights": f"trials/{number:05d}/student.safetensors", **more,
    }  # fmt: skip
    return TrialResult(**given_)


class Scene:
    def __init__(self, directory, trials, max_bytes):
        meta = RunMeta(
            sweep_id=uuid.uuid4().hex, name="run", created="2026-11-26T10:00:00+00:00",
            objectives=OBJECTIVES,
        )  # fmt: skip
        self.store = RunStore.create(directory / "runs" / "run", meta=meta, sweep_text="")
        self.trials, self.said = trials, []
        for each in trials:
            self.store.write(each)
            if each.weights is not None:
                self.store.weights_of(each.trial_id).write_bytes(b"w" * SIZE)
        self.teachers = directory / "runs" / "teachers"
        self.room = Room(self.store, max_bytes, teachers=self.teachers, tell=self.said.append)
        self.front = front_of(trials, OBJECTIVES)

    def look(self):
        return self.room.look(self.trials, self.front)

    @property
    def kept(self):
        return [t.number for t in self.trials if self.store.weights_of(t.trial_id).exists()]


# 2 and 4 are the front; 0, 1 and 3 are dominated.
FIVE = [trial(0, 0.5, 400), trial(1, 0.6, 400), trial(2, 0.9, 300), trial(3, 0.4, 200),
        trial(4, 0.7, 100)]  # fmt: skip


@pytest.mark.parametrize(
    ("max_bytes", "gone", "num_said"),
    [
        (None, [], 0),
        (5000, [], 0),
        (4999, ["00000"], 0),
        (3000, ["00000", "00001"], 0),
        (2000, ["00000", "00001", "00003"], 0),
        (1, ["00000", "00001", "00003"], 1),
    ],
)
def test_the_oldest_that_are_dominated_go_first_and_the_front_stays(
    max_bytes, gone, num_said, tmp_path
):
    scene = Scene(tmp_path, FIVE, max_bytes)
    assert scene.look() == gone
    assert scene.kept == [t.number for t in FIVE if t.trial_id not in gone]
    assert scene.look() == []
    assert len(scene.said) == num_said
    if num_said:
        assert scene.said[0].startswith(
            "warning: the run keeps 2.0 KiB, and storage.max_bytes allows 1 byte"
        )


def test_checkpoints_what_is_set_aside_and_all_of_the_runs_own_teachers_count(tmp_path):
    teacher = trial(0, 0.99, 9000, role="teacher", trial_id="teacher-0123abcd", weights=None)
    scene = Scene(tmp_path, [*FIVE, teacher], 10_000)
    assert scene.room.used(scene.trials) == 5 * SIZE
    place = scene.store.checkpoints_of("00009")
    place.mkdir(parents=True)
    (place / "00001-0123456789abcdef.safetensors").write_bytes(b"c" * 300)
    for digest in ("0123abcd" + "0" * 16, "f" * 24):
        view = scene.teachers / digest / "outputs" / "key" / "view-00000" / "logits"
        view.mkdir(parents=True)
        (view / "000.f16").write_bytes(b"o" * 70)
        (view.parent / "000.lock").write_bytes(b"l" * 7)
        (scene.teachers / digest / "teacher.safetensors").write_bytes(b"t" * 20)
    aside = scene.store.directory / "damaged" / "00003"
    aside.mkdir(parents=True)
    (aside / "student.safetensors").write_bytes(b"w" * 5)
    assert scene.room.used(scene.trials) == 5 * SIZE + 300 + 70 + 20 + 5


def test_weights_of_damaged_records_go_first(tmp_path):
    scene = Scene(tmp_path, FIVE, 5500)
    aside = scene.store.directory / "damaged" / "00009"
    aside.mkdir(parents=True)
    for name in ("student.safetensors", "result.json"):
        (aside / name).write_bytes(b"w" * SIZE)
    assert scene.look() == []
    assert [path.name for path in aside.iterdir()] == ["result.json"]
    assert scene.kept == [0, 1, 2, 3, 4]


def test_what_lies_outside_is_not_counted_through_a_link(tmp_path):
    scene = Scene(tmp_path, FIVE, 10_000)
    (tmp_path / "large.safetensors").write_bytes(b"x" * 5000)
    (scene.store.trials_dir / "linked").symlink_to(tmp_path)
    assert scene.room.used(scene.trials) == 5 * SIZE


def test_replicates_of_a_point_on_the_front_all_stay(tmp_path):
    pairs = [(0, 0.9), (0, 0.8), (1, 0.5), (1, 0.4)]
    trials = [
        trial(n, accuracy, 100, point=point, replicate=n % 2, replicates=2)
        for n, (point, accuracy) in enumerate(pairs)
    ]
    scene = Scene(tmp_path, trials, 1)
    assert scene.look() == ["00002", "00003"]


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=8),
    max_bytes=st.integers(1, 9000),
)
def test_it_never_gives_up_more_than_it_must(values, max_bytes, tmp_path_factory):
    trials = [trial(n, accuracy / 10, params) for n, (accuracy, params) in enumerate(values)]
    scene = Scene(tmp_path_factory.mktemp("room"), trials, max_bytes)
    gone = scene.look()
    on_front = {each.trial_id for each in scene.front}
    assert not on_front & set(gone)
    left = SIZE * len(scene.kept)
    assert left <= max_bytes or set(scene.kept) == {each.number for each in scene.front}
    assert not gone or left + SIZE > max_bytes


def test_what_was_exported_does_not_count_for_nobody_here_may_remove_it(tmp_path):
    scene = Scene(tmp_path, FIVE, 5000)
    exported = scene.store.directory / "export" / "00002-none-w4"
    exported.mkdir(parents=True)
    (exported / "student.safetensors").write_bytes(b"w" * 3000)
    assert scene.room.used(scene.trials) == 5 * SIZE
    assert scene.look() == []
