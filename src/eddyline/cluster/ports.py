"""TCP ports of 127.0.0.1: which are free, and what to say when one is taken.

A free port is looked for below the range from which the kernel takes the ports of outgoing connections. Above it, a client that
tries again and again to reach a broker that is down can, by chance, connect to itself and hold the broker's port.
"""

from __future__ import annotations

import random
import socket

from eddyline.records.errors import EddylineError

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 100


def free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed connection's echo is no server
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port on which nobody listens now. Nothing reserves it: use it soon.

    >>> free(any_free())
    True
    """
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _HIGHEST)
        if free(port):
            return port
    raise EddylineError(f"no free port on {HOST} between {_LOWEST} and {_HIGHEST} after {_TRIES} tries; stop some servers")


def demand(port: int, *, what: str, option: str) -> None:
    """Raises `EddylineError` when the port is taken: `what` needs it, `option` chooses another."""
    if not free(port):
        raise EddylineError(
            f"{what}: port {port} of {HOST} is taken by another program\n"
            f"choose another with {option} PORT, or stop that program (ss -ltnp 'sport = :{port}' names it)"
        )
