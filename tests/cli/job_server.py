"""What answers as the job server of a Ray cluster does, as far as the commands ask."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ray


class JobServer:
    """``states`` are what a job is found in, one after the other, the last one for good."""

    def __init__(self, address: str, token: str | None) -> None:
        self.address, self.token = address, token
        self.states = ["RUNNING"]
        self.asked: list[str] = []

    def answer(self, method: str, path: str, token: str | None) -> tuple[int, object]:
        """Status and JSON, or text."""
        self.asked.append(f"{method} {path}")
        if path == "/api/version":
            return 200, {"version": "4", "ray_version": ray.__version__, "ray_commit": "x"}
        if self.token is not None and token != f"Bearer {self.token}":
            return (401, "Missing token") if token is None else (403, "Invalid token")
        if method == "POST" and path.endswith("/stop"):
            return 200, {"stopped": self.states[0] in ("PENDING", "RUNNING")}
        if method == "POST":
            return 200, {"job_id": "1", "submission_id": "1"}
        if path.startswith("/api/packages") or method == "PUT":
            return (404 if method == "GET" else 200), {}
        if path.endswith("none"):
            return 404, "Job none does not exist"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return 200, {"type": "SUBMISSION", "status": state, "entrypoint": "x", "message": "So."}


@contextmanager
def job_server(token: str | None = None) -> Iterator[JobServer]:
    """One that listens, and wants this token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = found.answer(self.command, self.path, self.headers["Authorization"])
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *given: object) -> None:
            """Nothing on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = JobServer(f"http://127.0.0.1:{server.server_port}", token)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
