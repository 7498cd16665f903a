"""What a router is told: by arguments, and by the environment when it starts. Arguments win."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.limits import clean_name
from graysplit.environment import setting

if TYPE_CHECKING:
    from graysplit.notices.hooks import Hook


class Settings(NamedTuple):
    """A router's settings; None: not said, so the environment is asked."""

    url: str | None = None  # GRAYSPLIT_URL
    namespace: str | None = None  # GRAYSPLIT_NAMESPACE
    off: str | None = None  # GRAYSPLIT_OFF
    off_file: str | None = None  # GRAYSPLIT_OFF_FILE
    cache_dir: str | None = None  # GRAYSPLIT_CACHE_DIR: where the last-known-good file is kept; none: nowhere
    bootstrap: str | None = None  # GRAYSPLIT_BOOTSTRAP: a JSON or TOML file to start from where nothing else is known
    instance: str | None = None  # GRAYSPLIT_INSTANCE: the name under which this host crosses over; its host name
    zone: str | None = None  # GRAYSPLIT_ZONE: instances of different zones take turns
    notify: tuple[Hook, ...] | None = None  # GRAYSPLIT_NOTIFY_URL: whom to tell what the history says
    notify_url: str | None = None  # what the environment says, where the code names nobody
    console_url: str | None = None  # GRAYSPLIT_CONSOLE_URL: the links of notices, for hooks that name no console
    sigterm: bool | None = None  # GRAYSPLIT_SIGTERM=0: SIGTERM is left alone, and whoever dies of it says no goodbye

    def over(self, other: Settings) -> Settings:
        """Lay what is said here over what was said before."""
        return other._replace(**{name: said for name, said in self._asdict().items() if said is not None})

    def resolved(self) -> Settings:
        """Fill what was not said from the environment."""
        get = os.environ.get
        return Settings(
            setting(self.url, "GRAYSPLIT_URL"),
            setting(self.namespace, "GRAYSPLIT_NAMESPACE", "default"),
            # Break-glass holds for every router, however it was made: words are united, never replaced.
            f"{self.off or ''},{get('GRAYSPLIT_OFF', '')}",
            setting(self.off_file, "GRAYSPLIT_OFF_FILE"),
            setting(self.cache_dir, "GRAYSPLIT_CACHE_DIR"),
            setting(self.bootstrap, "GRAYSPLIT_BOOTSTRAP"),
            clean_name(self.instance or get("GRAYSPLIT_INSTANCE", "")) or _host(),
            clean_name(self.zone or get("GRAYSPLIT_ZONE", "")),
            self.notify,
            setting(None, "GRAYSPLIT_NOTIFY_URL") if self.notify is None else None,
            setting(self.console_url, "GRAYSPLIT_CONSOLE_URL"),
            self.sigterm if self.sigterm is not None else get("GRAYSPLIT_SIGTERM", "1").lower() not in _NO,
        )


_NO: Final = frozenset({"0", "no", "off", "false"})


def _host() -> str:
    import socket

    return clean_name(socket.gethostname()) or "unnamed"
