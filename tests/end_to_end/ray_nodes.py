"""Ray clusters of several nodes on this machine, each with a home and a directory of its own.

Ray's own `Cluster` of its tests shares one home, one working directory and one session directory:
what works only because of that does not work on machines.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finished_sweeps import environment, marked, until

UP_WITHIN_S = 150.0
"""Of a node; Ray alone takes twenty seconds where other work keeps both processors busy."""

ATTEMPTS = 4
TOO_SLOW = "timed out during startup"
"""What Ray says of a node that was not up in thirty seconds, which nothing can make longer."""

OBJECT_STORE_BYTES = 100 * 2**20


class Node:
    """A node of a cluster: ``home``, ``work`` (where it was started), and all of its processes."""

    def __init__(self, directory: Path, *arguments: object, **more: object) -> None:
        self.home, self.work, self.temp = (directory / name for name in ("home", "work", "t"))
        for each in (self.home, self.work):
            each.mkdir(parents=True)
        self.log = directory / "ray-start.log"
        self.mark = f"KDSWEEP_TEST_NODE={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        options = [
            f"--temp-dir={self.temp}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            # Of its own: with another Ray on this machine there would be no agent that takes jobs.
            f"--dashboard-agent-listen-port={spare_port()}",
            "--disable-usage-stats",
            *map(str, arguments),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=self.work,
                env=environment(**{"HOME": self.home, name: value, **more}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pids(self) -> list[int]:
        """Of everything that belongs to this node, Ray's workers among them."""
        return marked(self.mark)

    def runs(self, words: str) -> bool:
        """Whether ``words`` are in the command line of one of its processes: ``RayTrainWorker``."""
        return any(words in _command_line(pid) for pid in self.pids)

    def is_up(self) -> bool:
        """Wait until Ray runs on it; not where this machine was too busy for that.

        Fails with what Ray said where anything else was wrong.
        """

        def has_decided() -> bool:
            return "Ray runtime started" in self.log.read_text() or self.process.poll() is not None

        until(has_decided, seconds=UP_WITHIN_S, every=0.1)
        said = self.log.read_text()
        assert self.process.poll() is None or TOO_SLOW in said, said
        return self.process.poll() is None

    def kill(self) -> None:
        """Take the node away as a power cut does: nothing of it says goodbye."""

        def is_gone() -> bool:
            # Again and again: one that was about to start another is killed with it.
            for pid in self.pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.poll()
            return not self.pids

        until(is_gone, seconds=30)
        self.process.wait(30)


class RayNodes:
    """A cluster on this machine; ``nodes[0]`` is its head, ``address`` is for ``--address``.

    ``driver`` is what a command that joins the cluster needs in its environment: a home that is no
    node's, and whether the cluster asks for a token.
    """

    def __init__(self, directory: Path, **more: object) -> None:
        self._directory, self._more = directory, {"RAY_AUTH_MODE": "disabled", **more}
        self.nodes: list[Node] = []
        self.address = ""
        self._num_started = 0
        home = directory / "driver"
        home.mkdir(parents=True)
        self.driver: dict[str, Any] = {"HOME": home, **self._more}

    def add(self, num_cpus: float, *arguments: object) -> Node:
        """Start one more node, the first of them as the head, and wait until it is up."""
        for _ in range(ATTEMPTS):
            node = self._start(f"--num-cpus={num_cpus}", *arguments)
            if node.is_up():
                return node
            self.nodes.remove(node)
            node.kill()
        raise AssertionError(f"Ray did not start in {ATTEMPTS} attempts: {node.log.read_text()}")

    def _start(self, *arguments: object) -> Node:
        if self.nodes:
            where = [f"--address={self.address}"]
        else:
            port = spare_port()
            self.address = f"127.0.0.1:{port}"
            where = ["--head", f"--port={port}"]
            if not any("dashboard" in str(each) for each in arguments):
                where.append("--include-dashboard=false")
        self._num_started += 1
        directory = self._directory / str(self._num_started)
        node = Node(directory, *where, *arguments, **self._more)
        self.nodes.append(node)
        return node


@contextmanager
def ray_nodes(*num_cpus: float, **more: object) -> Iterator[RayNodes]:
    """A cluster of nodes with so many processors each; ``more`` goes into their environment.

    Nothing of it is left afterwards, also where it did not come up: no process, no file.
    """
    # Not under pytest's directory: the path of a Unix socket has about a hundred characters.
    directory = Path(tempfile.mkdtemp(prefix="kd", dir="/tmp"))
    cluster = RayNodes(directory, **more)
    try:
        for each in num_cpus:
            cluster.add(each)
        yield cluster
    finally:
        for node in reversed(cluster.nodes):
            node.kill()
        shutil.rmtree(directory, ignore_errors=True)


def spare_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
