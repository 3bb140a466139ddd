from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdsweep.errors import SpecError
from kdsweep.storage import address
from kdsweep.storage.address import checked, is_address, place_of, under
from kdsweep.storage.copies import address_of, address_of_root, name_of, root_at_hand, teachers_in


@pytest.mark.parametrize(
    ("given", "found"),
    [("s3://b", "s3://b"), ("s3://b/c/", "s3://b/c"), ("gs://b/x.y/z", "gs://b/x.y/z")],
)
def test_addresses_have_no_slash_at_their_end(given, found):
    assert checked(given) == found


@pytest.mark.parametrize(
    "given",
    [
        "s3://", "s3:///x", "s3://b//c", "s3://b/../c", "s3://b/./c", "s3://b/*", "s3://b/a?x=1",
        "http://b/c", "file:///tmp/x", "s3://b/a\nb", "s3:/b", "memory://x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_is_allowed(given):
    with pytest.raises(SpecError, match="s3://BUCKET/PATH or gs://BUCKET/PATH"):
        checked(given)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(SpecError, match="not allowed with a password") as refused:
        checked("s3://key:pass-word@bucket/x")
    assert "pass-word" not in str(refused.value)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"s3fs is needed for it: pip install 'kdsweep\[s3\]'"):
        checked("s3://b/c")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    try:
        found = checked(f"s3://{text}")
    except SpecError:
        return
    parts = found.removeprefix("s3://").split("/")
    assert parts
    assert not {"", ".", ".."} & set(parts)


def test_paths_stay_paths():
    assert not is_address("runs/digits")
    assert place_of("runs") == Path("runs")
    assert place_of("s3://b/c") == "s3://b/c"
    assert under(Path("a"), "b", "c") == Path("a/b/c")
    assert under("s3://b/c", "d") == "s3://b/c/d"


def test_a_copy_knows_whose_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path))
    root = root_at_hand("s3://b/c/")
    assert root == root_at_hand("s3://b/c")
    assert root != root_at_hand("s3://b/d")
    assert root.is_relative_to(tmp_path)
    assert address_of_root(root) == "s3://b/c"
    assert address_of(root / "digits") == name_of(root / "digits") == "s3://b/c/digits"
    assert name_of(root / "digits" / "run.json") == "s3://b/c/digits/run.json"
    assert name_of(root) == "s3://b/c"
    assert teachers_in(root) == "s3://b/c/teachers"


def test_a_directory_is_nobodys_copy(tmp_path):
    assert root_at_hand(tmp_path) == tmp_path
    assert address_of(tmp_path / "digits") is None
    assert name_of(tmp_path / "digits") == str(tmp_path / "digits")
    assert teachers_in(tmp_path) == tmp_path / "teachers"


def test_a_mark_that_leads_elsewhere_is_not_followed(tmp_path, monkeypatch):
    # Runs may be unpacked from strangers: a file among them must not name a store.
    (tmp_path / "storage.json").write_text('{"address": "s3://theirs/x"}')
    assert address_of(tmp_path / "digits") is None
