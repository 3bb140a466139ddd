"""A sweep file with its defaults written out, to be held against another one."""

from kdsweep.sweep_file.written_out import written_out

SHORT = {
    "trial": {"data": "digits", "student": {"name": "cnn"}, "strategy": "none"},
    "space": {"strategy": {"choice": ["none", {"name": "none"}]}},
}


def test_defaults_are_written_out_in_trial_search_objectives_and_choices():
    whole = written_out(SHORT)
    assert whole["search"]["trials"] == 40
    assert whole["objectives"] == {"accuracy": "max", "params": "min"}
    assert whole["trial"]["data"]["validation"] == 0.2
    assert whole["space"]["strategy"]["choice"] == [{"name": "none"}, {"name": "none"}]
    said = {**SHORT, "search": {"trials": 40, "seed": 0}, "objectives": whole["objectives"]}
    assert written_out(said) == whole
    assert written_out({**SHORT, "search": {"seed": 1}}) != whole


def test_where_a_budget_decides_trials_are_no_default():
    assert written_out({**SHORT, "search": {"budget": {"hours": 1}}})["search"]["trials"] is None


def test_what_cannot_be_resolved_here_gives_nothing():
    own = {**SHORT["trial"], "student": {"name": "not_installed_here:Net"}}
    assert written_out({**SHORT, "trial": own}) is None
    assert written_out({**SHORT, "search": {"trials": "many"}}) is None
    assert written_out({"trial": 3}) is None
