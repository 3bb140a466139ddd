"""The process group of a trial's workers; on a cluster of this machine alone it stays on loopback.

As Ray sets it up, torch's store listens on every interface, and gloo and NCCL on the one that the
machine's name stands for.
"""

import os
import socket
import sys
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.environment import LOOPBACK

# isort: split
import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import (
    _set_torch_distributed_env_vars,
    _setup_torch_process_group,
    _TorchBackend,
)
from torch.distributed import TCPStore  # type: ignore[attr-defined]

_served: list[TCPStore] = []
"""What this process serves: a store ends with the object that made it."""


class GroupConfig(TorchConfig):  # type: ignore[misc]
    """Ray's settings of a process group, with the set-up of this file."""

    @property
    def backend_cls(self) -> type["GroupBackend"]:
        """What sets the group up."""
        return GroupBackend


class GroupBackend(_TorchBackend):  # type: ignore[misc]
    """Ray's set-up of a process group, or the one on loopback."""

    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        """Connect the workers with each other."""
        if ray.util.get_node_ip_address() != LOOPBACK:
            super().on_start(worker_group, backend_config)
            return
        size, on_gpus = len(worker_group), worker_group.get_resources_per_worker().get("GPU", 0)
        port = worker_group.execute_single(0, serve_store)
        worker_group.execute(_meet_at, port)
        worker_group.execute(_set_torch_distributed_env_vars)
        connecting = [
            worker_group.execute_single_async(
                rank,
                _setup_torch_process_group,
                backend="nccl" if on_gpus else "gloo",
                world_rank=rank,
                world_size=size,
                init_method="env://",
                timeout_s=backend_config.timeout_s,
            )
            for rank in range(size)
        ]
        ray.get(connecting)


def serve_store() -> int:
    """Serve the store at which a group meets from this process; its port."""
    # Given a socket it listens there; given a port alone, on every interface.
    listening = socket.create_server((LOOPBACK, 0))
    port: int = listening.getsockname()[1]
    _served[:] = [
        TCPStore(
            LOOPBACK,
            port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=listening.detach(),
        )
    ]
    return port


def _meet_at(port: int) -> None:
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    os.environ |= {
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(port),
        # Somebody serves the store already, as under torchrun.
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
    }
