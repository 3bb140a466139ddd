"""``kdsweep run``, ``resume`` and ``trial`` as far as they need no Ray: refusals, one trial."""

import importlib
import json
import re
import subprocess
import sys

import pytest
import torch
from calling import run
from safetensors.torch import load_file
from small_runs import SWEEP, files_in, store_of

from kdsweep.results.store import RunStore
from kdsweep.sweep_file.plan import Machine

# The package has a function of this name too.
plan_module = importlib.import_module("kdsweep.sweep_file.plan")

# 1 x 3x3 x 2 + 2, 2 x 3x3 x 4 + 4, 4 x 2x2 x 12 + 12, 12 x 10 + 10
PARAMS = 20 + 76 + 204 + 130


@pytest.mark.usefixtures("no_ray")
class TestRefusals:
    """Exit code 2, one clear line, nothing started and nothing written."""

    def refused(self, home, capsys, *arguments):
        before = files_in(home)
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert out in ("", "checking small.yaml\n", "checking runs/small/sweep.yaml\n")
        assert files_in(home) == before
        return err

    def test_a_file_that_is_not_there(self, home, capsys):
        assert (
            self.refused(home, capsys, "run", "absent.yaml") == "error: absent.yaml: no such file\n"
        )

    def test_a_mistake_in_the_file(self, home, capsys):
        (home / "small.yaml").write_text(SWEEP.replace("epochs: 2", "epochs: 0"))
        err = self.refused(home, capsys, "run", "small.yaml")
        assert err.startswith("error: small.yaml: trial.train.epochs: ")

    @pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden", "a" * 65, "a b"])
    def test_a_name_that_is_no_directory_of_its_own(self, home, capsys, name):
        err = self.refused(home, capsys, "run", "small.yaml", f"--name={name}")
        # An empty name is none: the sweep's own would be taken for it in silence.
        assert err.startswith(f"error: --name: {name!r} is not allowed: must be 1 to 64 letters")

    @pytest.mark.parametrize(
        ("cluster", "arithmetic"),
        [
            ("concurrent_trials: 64",
             "64 trials at once x 1 workers x 1 CPUs and 0 GPUs need 64 CPUs and 0 GPUs"),
            ("cpus_per_worker: 64",
             "1 trials at once x 1 workers x 64 CPUs and 0 GPUs need 64 CPUs and 0 GPUs"),
            ("workers_per_trial: 3",
             "1 trials at once x 3 workers x 1 CPUs and 0 GPUs need 3 CPUs and 0 GPUs"),
        ],
    )  # fmt: skip
    def test_more_than_the_machine_has(self, home, capsys, monkeypatch, cluster, arithmetic):
        monkeypatch.setattr(plan_module, "this_machine", lambda: Machine(2, 0))
        (home / "small.yaml").write_text(SWEEP + f"cluster: {{{cluster}}}\n")
        assert self.refused(home, capsys, "run", "small.yaml") == (
            f"error: small.yaml: cluster: {arithmetic}; this machine has 2 and 0; lower "
            "concurrent_trials, workers_per_trial, cpus_per_worker or gpus_per_worker, "
            "or give --address of a larger cluster\n"
        )

    def test_a_directory_that_holds_a_run(self, home, capsys):
        store_of(home)
        err = self.refused(home, capsys, "run", "small.yaml")
        assert "`kdsweep resume runs/small` goes on with it" in err
        assert "`--name NAME` starts another beside it" in err

    def test_a_directory_with_files_of_somebody(self, home, capsys):
        (home / "runs" / "small").mkdir(parents=True)
        (home / "runs" / "small" / "thesis.txt").write_text("")
        err = self.refused(home, capsys, "run", "small.yaml")
        assert "is not empty and holds no run" in err

    @pytest.mark.parametrize("command", ["run", "resume"])
    def test_an_address_of_no_cluster(self, home, capsys, monkeypatch, command):
        monkeypatch.setattr("kdsweep.sweep_file.load", lambda path: pytest.fail("was checked"))
        store_of(home, status="stopped")
        what = "small.yaml" if command == "run" else "runs/small"
        err = self.refused(home, capsys, command, what, "--address", "http://a:8265")
        assert err == (
            "error: --address: 'http://a:8265' is not allowed: must be auto, HOST:PORT or "
            "[IPV6]:PORT; that of a job server is for `kdsweep submit`\n"
        )

    @pytest.mark.parametrize("named", ["--runs-dir /proc/x", "--runs-dir small.yaml", ""])
    def test_what_is_cheap_to_find_is_told_before_the_file_is_checked(
        self, home, capsys, monkeypatch, named
    ):
        monkeypatch.setattr("kdsweep.sweep_file.load", lambda path: pytest.fail("was checked"))
        text = SWEEP if named else SWEEP + "storage: {path: /proc/y}\n"
        (home / "small.yaml").write_text(text)
        err = self.refused(home, capsys, "run", "small.yaml", *named.split())
        assert "no run can be made here: " in err

    def test_resume_elsewhere_names_the_directory_where_the_sweep_was_started(self, home, capsys):
        store = store_of(home, status="stopped", started_in="/home/me/sweeps")
        text = SWEEP.replace("train: {epochs: 1}", "weights: teacher.safetensors")
        (store.directory / "sweep.yaml").write_text(text)
        first, second = self.refused(home, capsys, "resume", "runs/small").splitlines()
        assert first.endswith("/teacher.safetensors': no such file")
        assert second == (
            "error: runs/small/sweep.yaml: the sweep was started in /home/me/sweeps, and relative "
            "paths in its file are meant from there: call the command there if it is a path that "
            "is wrong"
        )

    def test_resume_by_the_name_alone_says_where_the_run_is(self, home, capsys):
        store_of(home, status="stopped")
        err = self.refused(home, capsys, "resume", "small")
        assert err == "error: small: does not exist; did you mean runs/small?\n"

    def test_resume_without_a_run(self, home, capsys):
        err = self.refused(home, capsys, "resume", "runs/small")
        assert err.startswith("error: runs/small: does not exist; a run directory is what")

    def test_resume_of_a_run_that_is_complete(self, home, capsys):
        store_of(home, status="complete")
        err = self.refused(home, capsys, "resume", "runs/small")
        assert err == (
            "error: runs/small: is complete; look at it with `kdsweep front runs/small`, "
            "or add to it with `kdsweep extend runs/small --trials N`\n"
        )

    def test_resume_on_a_machine_that_is_too_small(self, home, capsys, monkeypatch):
        monkeypatch.setattr(plan_module, "this_machine", lambda: Machine(0, 0))
        store_of(home, status="stopped")
        err = self.refused(home, capsys, "resume", "runs/small")
        assert "need 1 CPUs and 0 GPUs; this machine has 0 and 0" in err


def test_resume_hands_on_every_record_and_counts_what_is_done(home, monkeypatch):
    from test_cli_results import trial

    import kdsweep.search.run as search_run

    store = store_of(home, status="stopped", trials=5)
    for number, status in enumerate(["complete", "failed", "stopped", "running"]):
        store.write(trial(number, 0.5, 100, status=status))
    given = {}

    def instead(sweep, open_store, *, progress, done, began, expected, changes, warm):
        given.update(done=done, earlier=progress._state.earlier, planned=progress._state.planned)
        return "complete", open_store()

    monkeypatch.setattr(search_run, "run", instead)
    assert run("resume", "runs/small") == 0
    assert [result.status for result in given["done"]] == [
        "complete", "failed", "stopped", "running",
    ]  # fmt: skip
    # Two controls and two trials, whatever the record says.
    assert (given["earlier"], given["planned"]) == (2, 4)


def test_a_sweep_that_was_stopped_ends_with_130_and_names_resume(home, monkeypatch, capsys):
    import kdsweep.search.run as search_run

    monkeypatch.setattr(search_run, "run", lambda *a, **k: ("stopped", store_of(home)))
    assert run("run", "small.yaml") == 130
    out, err = capsys.readouterr()
    assert out.startswith(
        "checking small.yaml\nsampler random: each of the 2 points of the space once\nspent: 0s, "
    )
    assert out.endswith("runs/small: no trial is complete, so there is no front\n")
    small = home / "runs" / "small"
    assert err == f"stopped; `kdsweep resume {small}` goes on\n"


def test_one_trial_in_this_process(home, capsys):
    torch.set_num_threads(2)
    assert run("trial", "small.yaml", "--weights", "student.safetensors") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert re.match(r"teacher 1/1: accuracy \d+\.\d\d%, ", lines[0])
    assert [line.split(":")[0] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert "hard" in lines[1]
    named = dict(line.split(maxsplit=1) for line in lines[3:])
    assert named["computed"] == "float32, contiguous, teacher stored"
    assert int(named["params"]) == PARAMS
    assert 0 < float(named["accuracy"].removesuffix("%")) < 100
    assert 0 < float(named["teacher_accuracy"].removesuffix("%")) < 100
    assert named["weights"] == "student.safetensors"
    assert sum(t.numel() for t in load_file(home / "student.safetensors").values()) == PARAMS
    assert err == ""
    assert torch.get_num_threads() == 1


GRAPHS = (
    "reduce-overhead is not allowed without a GPU: it is CUDA graphs; use auto, none or default"
)


def test_cuda_graphs_are_refused_before_a_trial_where_there_is_no_gpu(home, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with_graphs = SWEEP.replace("train: {epochs: 1", "train: {compile: reduce-overhead, epochs: 1")
    assert with_graphs != SWEEP
    (home / "small.yaml").write_text(with_graphs)
    assert run("trial", "small.yaml") == 2
    assert capsys.readouterr() == ("", f"error: small.yaml: teacher.train.compile: {GRAPHS}\n")
    assert not (home / "runs").exists()


@pytest.mark.usefixtures("no_ray")
def test_cuda_graphs_are_refused_before_a_sweep_without_gpus(home, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with_graphs = SWEEP.replace(
        "space:\n", "space:\n  train.compile: {choice: [none, reduce-overhead]}\n"
    )
    assert with_graphs != SWEEP
    (home / "small.yaml").write_text(with_graphs)
    assert run("run", "small.yaml") == 2
    assert capsys.readouterr().err == f"error: small.yaml: trial.train.compile: {GRAPHS}\n"
    assert not (home / "runs").exists()
    # What is only looked at may be meant for another machine.
    assert run("check", "small.yaml") == 0
    assert f" trial.train.compile: {GRAPHS} " in " ".join(capsys.readouterr().out.split())


def test_one_trial_names_each_of_its_teachers(home, capsys):
    several = SWEEP.replace(
        "  strategy: {name: kd, temperature: 2.0, alpha: 0.5}",
        "  teachers: {large: {model: {name: cnn, width: 6, stages: 2}, train: {epochs: 2}}}\n"
        "  strategy: {name: multi_teacher}",
    )
    (home / "small.yaml").write_text(several)
    assert run("trial", "small.yaml") == 0
    begun = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert begun[:5] == [
        "teacher 1/1", "teacher large 1/2", "teacher large 2/2", "epoch 1/2", "epoch 2/2"
    ]  # fmt: skip
    assert [line.split()[0] for line in begun[5:7]] == ["teacher_accuracy", "large_accuracy"]


def test_weights_of_a_trial_are_safetensors(home, capsys):
    assert run("trial", "small.yaml", "--weights", "student.pt") == 2
    err = capsys.readouterr().err
    assert err == "error: --weights: 'student.pt' is not allowed: must end in .safetensors\n"
    assert not (home / "student.pt").exists()


def test_one_trial_as_json_finds_the_teacher_and_gives_the_same_numbers(home, capsys):
    found = []
    for _ in range(2):
        assert run("trial", "small.yaml", "--json") == 0
        out, err = capsys.readouterr()
        found.append(json.loads(out))
        assert "epoch 2/2" in err
    first, second = found
    assert (first["status"], first["error"]) == ("complete", None)
    assert (first["teachers"][0]["reused"], second["teachers"][0]["reused"]) == (False, True)
    for outcome in found:
        del outcome["metrics"]["latency_ms"]
    assert first["metrics"] == second["metrics"]


def test_a_trial_that_fails_says_why_without_a_traceback(home, capsys):
    diverging = SWEEP.replace(
        "epochs: 2, batch_size: 256",
        "epochs: 9, batch_size: 16, lr: 100, optimizer: {name: sgd, momentum: 0.99}",
    )
    (home / "small.yaml").write_text(diverging)
    assert run("trial", "small.yaml") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: small.yaml: epoch 1: the training loss is not finite")
    assert "Traceback" not in err


def test_a_sweep_that_failed_names_its_run_and_status_has_the_reason(home, monkeypatch, capsys):
    import kdsweep.search.run as search_run
    from kdsweep.errors import TrialError

    full = "the sweep cannot write what it must: no room; make room, and `kdsweep resume` goes on"

    def fails(sweep, open_store, **given):
        store = open_store()
        store.write(trial(1, 0.5, 100, status="running"))
        store.update_meta(status="failed")
        raise TrialError(full)

    from test_cli_results import trial

    monkeypatch.setattr(search_run, "run", fails)
    assert run("run", "small.yaml") == 2
    out, err = capsys.readouterr()
    assert out.startswith("checking small.yaml\n")
    assert err.splitlines()[-1] == f"error: runs/small: {full}"
    assert run("status", "runs/small") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "runs/small: failed"
    assert "1 cut short" in lines[2]
    assert lines[-1] == f"  ended     {full}"
    assert RunStore.open(home / "runs" / "small").meta.started_in == str(home)


@pytest.mark.parametrize(
    "command",
    [
        "run small.yaml --runs-dir /proc/x",
        "run small.yaml --address nowhere",
        "extend runs/small --hours 1",
        "submit small.yaml --name other --address http://127.0.0.1:9",
        "submit small.yaml --name other --address auto",
    ],
)
def test_what_is_cheap_to_find_needs_neither_torch_nor_ray(home, command):
    store_of(home, status="stopped")
    program = f"""
import sys
from kdsweep import cli
sys.argv = {["kdsweep", *command.split()]!r}
try:
    cli.main()
except SystemExit as end:
    assert end.code == 2, end.code
assert not {{"torch", "ray", "mlflow"}} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
