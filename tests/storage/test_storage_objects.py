import pytest
from object_store import files, put

from kdsweep.errors import redacted
from kdsweep.storage import objects as objects_module
from kdsweep.storage.folder import folder_at, write_at
from kdsweep.storage.objects import Objects, StorageError, objects_at, patiently
from kdsweep.storage.sizes import folders_in, remove_file, size_under


def test_what_is_written_is_read_and_listed(store_at):
    objects = Objects(store_at)
    objects.write("a/b.json", b"1")
    objects.write("a/c/d.json", b"22")
    objects.write("e", b"")
    assert objects.read("a/b.json") == b"1"
    assert objects.exists("e")
    assert not objects.exists("f")
    assert {name: each.size for name, each in objects.listing().items()} == {
        "a/b.json": 1, "a/c/d.json": 2, "e": 0,
    }  # fmt: skip
    assert set(objects.listing("a/c")) == {"a/c/d.json"}
    assert objects.names() == ["a", "e"]
    assert objects.names("a") == ["b.json", "c"]
    assert objects.read_many(["a/b.json", "gone", "e"]) == {"a/b.json": b"1", "e": b""}


def test_another_content_has_another_token(store_at):
    objects = Objects(store_at)
    objects.write("a", b"1")
    first = objects.listing()["a"].token
    put(f"{store_at}/a", b"2")
    assert objects.listing()["a"].token != first


def test_of_two_that_make_an_object_one_does(store_at):
    assert Objects(store_at).create("a", b"mine")
    assert not Objects(store_at).create("a", b"theirs")
    assert Objects(store_at).read("a") == b"mine"


def test_removing_what_is_gone_is_no_error(store_at):
    objects = Objects(store_at)
    objects.write("a/b", b"1")
    objects.write("ab", b"1")
    objects.remove(["a/b", "never"])
    objects.remove([])
    objects.remove_all("a")
    assert set(files(store_at)) == {"ab"}


def test_files_go_there_and_back_whole(store_at, tmp_path):
    objects, path = Objects(store_at), tmp_path / "big"
    path.write_bytes(bytes(range(256)) * 40_000)
    objects.upload(path, "x/big")
    objects.download("x/big", tmp_path / "y" / "again")
    assert (tmp_path / "y" / "again").read_bytes() == path.read_bytes()
    with pytest.raises(FileNotFoundError):
        objects.download("x/none", tmp_path / "y" / "none")
    assert [each.name for each in (tmp_path / "y").iterdir()] == ["again"]


def test_a_missing_bucket_is_named(store_at):
    objects = Objects("s3://no-such-bucket/x")
    for ask in (objects.listing, objects.names):
        with pytest.raises(StorageError, match="no bucket 'no-such-bucket'"):
            ask()
    with pytest.raises(FileNotFoundError):
        objects.write("a", b"1")


def test_a_store_that_does_not_answer_is_named(store_at, s3_server):
    objects = Objects(store_at)
    s3_server.stop()
    try:
        with pytest.raises(StorageError, match=f"{store_at}/a: ") as failed:
            objects.read("a")
    finally:
        s3_server.start()
    assert not failed.value.refused
    assert redacted(str(failed.value)) == str(failed.value)


def test_it_is_asked_again_for_a_while(monkeypatch):
    monkeypatch.setattr(objects_module.time, "sleep", lambda s: None)
    calls = []

    def ask():
        calls.append(1)
        if len(calls) < 4:
            raise StorageError("down")
        return "there"

    assert patiently(ask) == "there"
    assert len(calls) == 4


def test_what_is_refused_is_not_asked_again():
    calls = []

    def ask():
        calls.append(1)
        error = StorageError("no")
        error.refused = True
        raise error

    with pytest.raises(StorageError):
        patiently(ask)
    assert len(calls) == 1


def test_the_clock_of_silence_is_the_stores(store_at):
    objects = Objects(store_at)
    objects.write("a", b"1")
    assert 0 <= objects.silent_s("a") < 30
    assert set(files(store_at)) == {"a"}


def test_folders_are_the_same_in_both(store_at, tmp_path):
    for place in (tmp_path / "folder", f"{store_at}/folder"):
        folder = folder_at(place)
        assert folder.names() == []
        folder.write("a", b"1")
        folder.write("b", b"22")
        folder.write("b", b"2")
        assert sorted(folder.names()) == ["a", "b"]
        assert folder.read("b") == b"2"
        with pytest.raises(FileNotFoundError):
            folder.read("c")
        folder.remove("a")
        folder.remove("a")
        assert folder.names() == ["b"]
        folder.clear()
        assert folder.names() == []


def test_sizes_are_the_same_in_both(store_at, tmp_path):
    for root in (tmp_path / "t", store_at):
        for name, content in (("x/a.f16", b"1234"), ("x/y/b.json", b"12"), ("z/c.lock", b"1")):
            write_at(f"{root}/{name}", content)
        assert size_under(root, {".f16", ".json"}) == 6
        assert folders_in(root) == ["x", "z"]
        assert remove_file(f"{root}/x/a.f16") == 4
        assert remove_file(f"{root}/x/a.f16") == 0
        assert size_under(root, {".f16", ".json"}) == 2


def test_there_is_one_client_for_an_address(store_at):
    assert objects_at(store_at) is objects_at(store_at)
