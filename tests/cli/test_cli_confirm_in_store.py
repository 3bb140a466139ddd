"""Confirmations of a sweep in an object store, as another machine reads them."""

import json

from calling import run
from confirmed_runs import all_records, confirmation_in, sweep_in, teacher_record
from object_store import another_machine

from kdsweep.storage.copies import root_at_hand


def test_they_are_found_beside_the_sweep(store_at, monkeypatch, tmp_path, capsys):
    root = root_at_hand(store_at)
    sweep_in(root)
    confirmed = confirmation_in(root, [])
    with confirmed.hold():
        for each in [*all_records(), teacher_record()]:
            confirmed.write(each)
    with another_machine(monkeypatch, tmp_path):
        assert run("confirm", f"{store_at}/digits", "--show", "--json") == 0
        (row,) = json.loads(capsys.readouterr().out)
    assert row["run"] == f"{store_at}/digits-confirm"
    assert row["ended"] == 8
    assert row["teacher"]["test_accuracy"] == 0.94
