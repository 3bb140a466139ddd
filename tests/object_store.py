"""A real S3 server on this machine, moto's, and what a process needs to speak to it."""

import logging
import socket
from contextlib import contextmanager, suppress

from moto.server import ThreadedMotoServer

from kdsweep.storage import copies

BUCKET = "bucket"


class ObjectStore:
    """A server that can be stopped and started again with all that it holds."""

    def __init__(self):
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port = listening.getsockname()[1]
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.start()

    @property
    def environment(self):
        """What a process needs, and no credentials of anybody's."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "who",
            "AWS_SECRET_ACCESS_KEY": "what-nobody-may-read",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def start(self):
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self):
        """Refuse connections from here on."""
        self._server.stop()
        self._server._server.server_close()


def files(address):
    """Names and contents of all that lies at an address, as another client sees it."""
    import fsspec

    fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    found = {}
    for path in fs.find(root):
        # What is being replaced may be gone by now.
        with suppress(FileNotFoundError):
            found[path.removeprefix(f"{root}/")] = fs.cat_file(path)
    return found


def put(address, content):
    """An object as another client writes it."""
    import fsspec

    fs, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    fs.pipe_file(path, content)


@contextmanager
def another_machine(monkeypatch, tmp_path):
    """A cache of its own: nothing is at hand."""
    with monkeypatch.context() as patch:
        patch.setenv("KDSWEEP_CACHE", str(tmp_path / "elsewhere"))
        copies._address_in.cache_clear()
        yield
    copies._address_in.cache_clear()
