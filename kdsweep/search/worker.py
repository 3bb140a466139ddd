"""What a Ray Train worker does for the whole of a sweep: one trial after another."""

import faulthandler
import os
from importlib import import_module
from typing import Any


def lane_loop(config: dict[str, Any]) -> None:
    """Serve a lane until the sweep is over. Runs on every worker of the lane's Ray Train run.

    ``config`` has ``board`` and ``namespace`` (the switchboard's), ``lane`` (the number of the
    run's first lane), ``workers_per_trial``, ``threads``, ``teachers`` (a path or an address),
    ``layers`` (see ``Session``), ``checkpoint_every_s``, and ``timing`` (the fields of ``Timing``).
    """
    # What the kernel ends a worker with is in its log.
    faulthandler.enable()
    # Set before torch is imported: its pools read them once.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(config["threads"])
    import ray
    import torch
    from ray import train as ray_train

    from kdsweep.search.reporter import Reporter
    from kdsweep.storage.address import place_of
    from kdsweep.train.device import describe
    from kdsweep.train.ranks import ALONE, Ranks
    from kdsweep.train.session import Session
    from kdsweep.train.timing import Timing

    torch.set_num_threads(config["threads"])
    context = ray_train.get_context()
    rank, size = context.get_world_rank(), config["workers_per_trial"]
    # Several workers: the run is one lane. One worker each: every worker is a lane of its own.
    lane = f"lane-{config['lane'] + (0 if size > 1 else rank):03d}"
    ranks = Ranks(rank, size) if size > 1 else ALONE
    device = _device()
    teachers, layers = place_of(config["teachers"]), config["layers"]
    every_s = config["checkpoint_every_s"]
    session = Session(
        device=device, teachers=teachers, ranks=ranks, layers=layers, checkpoint_every_s=every_s,
        timing=Timing(**config["timing"]),
    )  # fmt: skip
    board = ray.get_actor(config["board"], namespace=config["namespace"])
    if ranks.is_first:
        node = ray.util.get_node_ip_address()
        about = {
            "device": describe(device),
            "node": node,
            "node_id": ray.get_runtime_context().get_node_id(),
            "pid": os.getpid(),
            "log": _log_path(),
        }
        ray.get(board.hello.remote(lane, about))
    # The others wait: a job that one of them took before the hello would go back to the queue.
    ranks.agree(True, device)
    taken = ray.get(board.take.remote(lane, 0))
    while taken is not None:
        had, job = taken
        reporter = Reporter(board, job["key"], job.get("rungs", ()))
        outcome = _run(session, reporter, job, every_s)
        if ranks.is_first:
            taken = reporter.end(outcome, lane, had)
        else:
            taken = ray.get(board.take.remote(lane, had))


def _log_path() -> str:
    """Where Ray keeps what this process says, on its node."""
    import ray

    worker: Any = ray._private.worker.global_worker
    return str(worker.get_err_file_path())


def _run(session: Any, reporter: Any, job: dict[str, Any], every_s: float) -> dict[str, Any]:
    """The outcome of a job: a ``trial``, a ``teacher``, or what ``module:function`` makes of it.

    Such a function takes the job and a function that reports an epoch and answers whether to go on.
    """
    module, colon, function = job["kind"].partition(":")
    if colon:
        own: dict[str, Any] = getattr(import_module(module), function)(job, reporter.epoch)
        return own

    from kdsweep.results.record import EpochMetrics
    from kdsweep.spec import TrialSpec
    from kdsweep.storage.address import place_of
    from kdsweep.train.checkpoint import Checkpoints
    from kdsweep.train.loop import Verdict

    def on_epoch(epoch: EpochMetrics) -> Verdict:
        if reporter.epoch(epoch.model_dump()):
            return Verdict.CONTINUE
        return Verdict.STOP if reporter.pruned is None else Verdict.PRUNE

    def on_teacher(epoch: EpochMetrics, name: str) -> Verdict:
        told = {**epoch.model_dump(), "teacher": name}
        return Verdict.CONTINUE if reporter.teacher_epoch(told) else Verdict.STOP

    trial = TrialSpec.model_validate(job["trial"])
    if job["kind"] == "teacher":
        outcome = session.prepare(
            trial, on_teacher, job.get("expected") or {}, opens_test=job.get("opens_test", False)
        )
    else:
        place = place_of(job["checkpoints"])
        outcome = session.run(
            trial,
            on_epoch,
            on_teacher=on_teacher,
            weights=place_of(job["weights"]),
            warn=reporter.warn,
            opens_test=job.get("opens_test", False),
            checkpoints=Checkpoints(
                place, every_s=every_s, on_resume=reporter.resumed, on_damage=reporter.warn
            ),
        )
    plain: dict[str, Any] = outcome.plain()
    if plain["status"] == "stopped" and reporter.pruned is not None:
        plain |= {"status": "pruned", "error": reporter.pruned}
    return plain


def _device() -> Any:
    """The GPU that Ray gave this worker, or the CPU."""
    import torch

    if torch.cuda.is_available():
        from ray.train.torch import get_device

        return get_device()
    return torch.device("cpu")
