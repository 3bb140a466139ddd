"""What a browser finds in MLflow's UI that has never been there."""

import json
import urllib.request

from hypothesis import given
from hypothesis import strategies as st

from kdsweep.tracking.first_visit import page_with, storage
from kdsweep.tracking.recorder import Recorder
from kdsweep.tracking.server import Server

PAGE = '<!doctype html><html><head><script src="main.js"></script></head><body></body></html>'


def given_in(page):
    """What a page puts into the browser's storage."""
    script = page.partition("<head><script>")[2].partition("</script>")[0]
    return json.loads(script.partition("const given=")[2].partition(";for(")[0])


def test_the_script_runs_before_that_of_the_ui():
    page = page_with(PAGE, {"a": "1"})
    assert page.index("localStorage") < page.index("main.js")
    assert given_in(page) == {"a": "1"}
    assert page.endswith('<script src="main.js"></script></head><body></body></html>')


def test_a_page_without_a_head_stays_as_it_is():
    assert page_with("landing page not found", {"a": "1"}) == "landing page not found"


@given(st.dictionaries(st.text(), st.text() | st.just("</script><img src=x onerror=alert(1)>")))
def test_no_value_ends_the_script(given):
    page = page_with(PAGE, given)
    assert page.count("<script") == PAGE.count("<script") + 1
    assert page.count("<img") == 0
    assert given_in(page) == given


def test_it_is_the_menu_of_training_and_the_columns_to_choose_by():
    found = {key: json.loads(value) for key, value in storage(["3", "12"]).items()}
    runs = [key for key in found if "ExperimentPage" in key]
    assert [key.split("-")[3] for key in runs] == ['["3"]', '["12"]']
    assert found["mlflow.workflowType_v1"] == "machine_learning"
    for key in runs:
        columns = found[key]["selectedColumns"]
        assert {"metrics.`accuracy`", "metrics.`params`", "metrics.`latency_ms`",
                "params.`strategy`"} <= set(columns)  # fmt: skip


def test_the_server_gives_it_for_the_experiments_that_it_has(uri, store, client, spare_port):
    Recorder(uri, "kdsweep", store)
    number = client.get_experiment_by_name("kdsweep").experiment_id
    server = Server(uri, host="127.0.0.1", port=spare_port)
    try:
        server.wait_until_up()
        with urllib.request.urlopen(f"{server.address}/", timeout=60) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            page = answer.read().decode()
        assert given_in(page) == storage([number])
        assert 'id="root"' in page, "MLflow's own page"
    finally:
        server.stop()
