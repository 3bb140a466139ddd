"""A teacher that begins from files is known by what is in them, not by where they lie."""

from kdsweep.spec import TeacherSpec
from kdsweep.train.teacher_store import digest_of


def from_files(place):
    model = {"name": "bert", "pretrained": str(place)}
    return digest_of(TeacherSpec(model=model), data="data")


def test_other_contents_give_another_teacher(tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "model.safetensors").write_bytes(b"one")
    first = from_files(place)
    assert from_files(place) == first
    (place / "model.safetensors").write_bytes(b"two")
    assert from_files(place) != first


def test_a_name_that_is_no_place_counts_as_it_is():
    assert from_files("bert-base-uncased") == from_files("bert-base-uncased")
    assert from_files("bert-base-uncased") != from_files("bert-base-cased")
