"""Where a process and those below it listen, read from /proc."""

import os
import struct
from ipaddress import ip_address
from pathlib import Path

HAS_PROC = Path("/proc/net/tcp").exists()
_LISTENS = "0A"


def listening(pid):
    """``(address, port)`` to a process name, of the sockets of a process and all below it."""
    sockets, found = _all_listening(), {}
    for each in processes_below(pid):
        try:
            files = list(Path(f"/proc/{each}/fd").iterdir())
            name = Path(f"/proc/{each}/comm").read_text().strip()
        except OSError:  # it has just ended
            continue
        inodes = {_inode(file) for file in files}
        found |= {sockets[inode]: name for inode in inodes & sockets.keys()}
    return found


def _inode(file):
    """Of the socket that an open file is, if it is one."""
    try:
        return os.readlink(file).removeprefix("socket:[").removesuffix("]")
    except OSError:  # it was closed meanwhile
        return ""


def beyond_this_machine(found):
    """Those of ``listening`` that another machine may reach."""
    return {place: name for place, name in found.items() if not _is_loopback(place[0])}


def _is_loopback(address):
    own = ip_address(address)
    mapped = getattr(own, "ipv4_mapped", None)
    return (mapped or own).is_loopback


def _all_listening():
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENS:
                address, port = words[1].split(":")
                # Words of four bytes, each in the machine's own order.
                number = b"".join(
                    struct.pack(">I", *struct.unpack("=I", bytes.fromhex(address[at : at + 8])))
                    for at in range(0, len(address), 8)
                )
                sockets[words[9]] = str(ip_address(number)), int(port, 16)
    return sockets


def processes_below(pid):
    """The process and all that it has started, as far as they still have their parent."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(after_name[1]), []).append(int(entry.name))
    found, to_do = [], [pid]
    while to_do:
        found.append(to_do.pop())
        to_do += children.get(found[-1], [])
    return found
