"""Runs with one complete trial whose weights are kept, as a lane leaves them; and strangers."""

import subprocess
import sys
import textwrap

import torch
from run_records import run_meta, trial_result

from kdsweep import catalog
from kdsweep.models.latency import Patience
from kdsweep.results.store import RunStore
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file.resolve import resolved
from kdsweep.train.evaluate import evaluate
from kdsweep.train.weights import save_weights

TRIAL = {
    "data": {"name": "digits"},
    "student": {"name": "cnn", "width": 2, "stages": 2, "hidden": 12},
    "strategy": {"name": "none"},
}
TEXTS = {
    "data": {
        "name": "docstrings", "limit": 60, "length": 24, "classes": ["numbers", "web"],
        "tokenizer": {"vocabulary": 400},
    },
    "student": {"name": "text_cnn", "width": 4, "filters": 4},
    "strategy": {"name": "none"},
}  # fmt: skip
AT_ONCE = Patience(budget_s=0.0, block_s=0.0)
"""Nothing is waited for: the numbers are not looked at."""


def kept(home, trial=TRIAL, *, meta=None, steps=0, **more):
    """A run with one complete trial, its record, and the network whose weights are kept.

    With ``steps`` it has learned a little, so that its classes are not all the same one.
    """
    spec = TrialSpec.model_validate(trial)
    store = RunStore.create(home / "small", meta=meta or run_meta("small"), sweep_text="{}\n")
    metrics = {"accuracy": 0.9, "params": 100.0}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = catalog.model_for(spec.student, catalog.dataset(spec.data).promised())
        if steps:
            metrics |= learned(network, spec, steps)
    given = {
        "trial": resolved(spec), "weights": RunStore.weights_name("t0000"), "metrics": metrics,
        "device": "cpu (1 thread)", **more,
    }  # fmt: skip
    result = trial_result(**given)
    store.write(result)
    if result.weights:
        save_weights(network, store.weights_of("t0000"))
    return store, result, network.eval()


def learned(network, spec, steps):
    """Train for some steps; what it is worth then."""
    splits = catalog.dataset(spec.data).load(torch.device("cpu"))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    batch = next(splits.train.shuffled(batch_size=512, epoch=0, seed=0))
    for _ in range(steps):
        optimizer.zero_grad()
        logits = network(batch.seen_by(network))
        torch.nn.functional.cross_entropy(logits, batch.labels).backward()
        optimizer.step()
    accuracy, loss = evaluate(network.eval(), splits.validation)
    return {"accuracy": accuracy, "loss": loss}


WITHOUT_KDSWEEP = """
import sys


class NoKdsweep:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kdsweep":
            raise ModuleNotFoundError("there is no kdsweep here")


sys.meta_path.insert(0, NoKdsweep())
try:
    import kdsweep
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("kdsweep can be imported here")
"""


def stranger(code, folder):
    """Run ``code`` in ``folder``, in a process in which there is no kdsweep; what it prints."""
    path = folder / "stranger.py"
    path.write_text(WITHOUT_KDSWEEP + textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-E", path.name],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    path.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
