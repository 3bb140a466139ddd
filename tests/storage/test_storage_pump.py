import threading

from object_store import files

from kdsweep.storage import pump as pump_module
from kdsweep.storage.objects import Objects
from kdsweep.storage.pump import Pump


def pump_of(address, directory, said=None):
    directory.mkdir(exist_ok=True)
    return Pump(Objects(address), directory, (said if said is not None else []).append)


def test_what_was_written_arrives(store_at, tmp_path):
    pump = pump_of(store_at, tmp_path / "run")
    for number in range(40):
        path = tmp_path / "run" / "trials" / f"{number:05d}" / "result.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % number)
        pump.changed(path.relative_to(tmp_path / "run").as_posix())
    assert pump.wait(30)
    pump.close()
    assert files(store_at) == {f"trials/{n:05d}/result.json": b"%d" % n for n in range(40)}


def test_of_one_folder_the_order_holds(store_at, tmp_path):
    pump = pump_of(store_at, tmp_path)
    folder = tmp_path / "trials" / "00001"
    folder.mkdir(parents=True)
    Objects(store_at).write("trials/00001/checkpoints/a", b"1")
    for number in range(20):
        (folder / "result.json").write_bytes(b"%d" % number)
        pump.changed("trials/00001/result.json")
        pump.removed("trials/00001/checkpoints")
    assert pump.wait(30)
    pump.close()
    assert files(store_at) == {"trials/00001/result.json": b"19"}


def test_a_file_that_is_gone_again_is_not_missed(store_at, tmp_path):
    pump = pump_of(store_at, tmp_path)
    pump.changed("never")
    assert pump.wait(30)
    pump.close()
    assert files(store_at) == {}


def test_nothing_is_lost_while_the_store_is_away(store_at, s3_server, tmp_path, monkeypatch):
    monkeypatch.setattr(pump_module, "_LONGEST_PAUSE_S", 0.5)
    said = []
    pump = pump_of(store_at, tmp_path, said)
    s3_server.stop()
    try:
        for number in range(12):
            (tmp_path / f"{number}.json").write_bytes(b"%d" % number)
            pump.changed(f"{number}.json")
        assert not pump.wait(2.0)
        assert len(said) == 1
        assert said[0].startswith(f"warning: {store_at}/")
        assert "tried again" in said[0]
    finally:
        s3_server.start()
    assert pump.wait(60)
    pump.close()
    assert said[1:] == [f"{store_at}: answers again"]
    assert files(store_at) == {f"{n}.json": b"%d" % n for n in range(12)}


def test_closing_leaves_no_thread(store_at, tmp_path):
    before = threading.active_count()
    pump = pump_of(store_at, tmp_path)
    assert threading.active_count() > before
    pump.close()
    assert threading.active_count() <= before + 1  # fsspec's own
