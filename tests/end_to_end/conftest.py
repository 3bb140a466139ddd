import shutil
import subprocess

import pytest
from finished_sweeps import DIGITS, TWO_LANES, finished, heard, kdsweep


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Where a person works: a git repository with a sweep file, and what its sweeps leave."""
    directory = tmp_path_factory.mktemp("home")
    (directory / "digits.yaml").write_text(DIGITS + TWO_LANES)
    if shutil.which("git"):
        person = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        for arguments in (
            ["init", "--quiet"],
            ["add", "digits.yaml"],
            [*person, "commit", "--quiet", "--message=A sweep"],
        ):
            subprocess.run(["git", *arguments], cwd=directory, check=True)
    return directory


@pytest.fixture(scope="session")
def swept_and_heard(home):
    """The sweep, as its command ended, and where its processes listened."""
    done, sockets = heard("run", "digits.yaml", cwd=home)
    return finished(done), sockets


@pytest.fixture(scope="session")
def swept(swept_and_heard):
    """The sweep, as its command ended."""
    return swept_and_heard[0]


@pytest.fixture(scope="session")
def swept_again(home, swept):
    """The same sweep under another name, later."""
    return finished(kdsweep("run", "digits.yaml", "--name", "digits-2", cwd=home))
