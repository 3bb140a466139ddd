"""What MLflow has of a sweep, found by its tags."""

EXPERIMENT = "kdsweep"


def runs_of(client, store):
    """The parent and the children by trial id, each found by tag and not by what we remember."""
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    found = client.search_runs([experiment], f"tags.sweep = '{store.meta.name}'", max_results=1000)
    parents = [run for run in found if run.data.tags["role"] == "sweep"]
    assert len(parents) == 1
    children = [run for run in found if run.data.tags["role"] != "sweep"]
    by_id = {run.data.tags["kdsweep.trial_id"]: run for run in children}
    assert len(by_id) == len(children), "a trial has two runs"
    return parents[0], by_id


def artifacts(client, run, folder=None):
    return sorted(file.path for file in client.list_artifacts(run.info.run_id, folder))
