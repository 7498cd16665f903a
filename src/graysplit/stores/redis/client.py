"""What of redis-py is used, and nothing else of it: public methods, named here with their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypeGuard, cast

Command: TypeAlias = tuple["str | bytes | int | float", ...]
Reply: TypeAlias = Any  # Any: what a server answers is of every kind, and is looked at where it is used
Options: TypeAlias = dict[str, Any]  # Any: keyword arguments of every kind


class RawConnection(Protocol):
    """One socket and its parser."""

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        """Write commands as the protocol wants them."""
        ...

    def send_packed_command(self, command: list[bytes]) -> None:
        """Send them; connects by itself where the socket is gone."""
        ...

    def can_read(self, timeout: float = 0) -> bool:
        """Wait until there is something to read, or the other end has closed."""
        ...

    def read_response(self, *, disconnect_on_error: bool, push_request: bool, **options: float) -> Reply:
        """Read one frame; redis-py 8 takes a timeout, 6 does not."""
        ...

    def disconnect(self) -> None:
        """Close the socket; in a forked child without shutting the parent's connection down."""
        ...

    # What `handshake.Noting` adds.

    sent_whole: set[str] | None

    def take_greeting(self) -> tuple[Command, ...]:
        """Return what is to be said first; nothing on a connection that has said it."""
        ...

    def give_back(self) -> None:
        """Let it connect again, as a pool does with a connection that has ended."""
        ...


class Pool(Protocol):
    """Connections to one server."""

    def get_connection(self) -> RawConnection:
        """Return a connected one."""
        ...

    def release(self, connection: RawConnection) -> None:
        """Take one back."""
        ...

    def disconnect(self) -> None:
        """Close them all."""
        ...


def is_list(reply: Reply) -> TypeGuard[list[Reply]]:
    """Return whether an answer is a list; of what, its reader knows."""
    return isinstance(reply, list)


def mapping_of(reply: Reply) -> Mapping[bytes, bytes]:
    """Take a map, or a flat list of names and values."""
    if isinstance(reply, dict):
        return cast("dict[bytes, bytes]", reply)
    flat = cast("list[bytes]", reply) if isinstance(reply, list) else []
    return dict(zip(flat[::2], flat[1::2], strict=False))
