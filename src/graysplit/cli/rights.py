"""The verb that prints a role's rights for the server's users."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

import click

from graysplit.cli.app import app
from graysplit.cli.exits import DONE
from graysplit.cli.output import say_json, say_whole, tell
from graysplit.cli.session import Session
from graysplit.errors import GraysplitError

_NOTE = "for Redis 7.0, Valkey 7.2 and newer"
_OLD = "before Redis 7.0, ACLs cannot separate reading from writing: every role, also app, can raise"


class _Version(Protocol):
    @property
    def has_roles(self) -> bool: ...


@runtime_checkable
class _Versioned(Protocol):
    def version(self) -> _Version | None: ...


@app.command()
@click.argument("role", type=click.Choice(["app", "drive", "ops"]))
@click.option("--user", metavar="NAME", help="The user's name.  [default: graysplit-ROLE]")
@click.pass_obj
def acl(session: Session, role: str, user: str | None) -> int:
    """Print the ACL line that gives a server's user a role.

    app follows and can only lower; drive may also write weights, so it can
    raise; ops may do everything in this namespace. Replace PASSWORD by a password
    and run the line in redis-cli.
    """
    if user is not None and (not user or not user.isprintable() or " " in user):
        raise click.BadParameter(f"invalid user name {user!r}: spaces are not allowed", param_hint="--user")
    from graysplit.stores.redis.roles import MEANINGS, rules, rules_before_7

    old = _is_old(session)
    words = (rules_before_7 if old else rules)(role, session.namespace)
    name = user or f"graysplit-{role}"
    line = f"ACL SETUSER {name} reset on >PASSWORD {' '.join(words)}"
    note = _OLD if old else _NOTE
    if session.json:
        say_json({"role": role, "user": name, "namespace": session.namespace, "rules": list(words), "line": line})
    else:
        say_whole(line)
    tell(f"{role}: {MEANINGS[role]}", note)
    return DONE


def _is_old(session: Session) -> bool:
    """Look at the server's version, where there is a server; one that does not say is taken for a newer one."""
    if not session.url:
        return False
    store = cast("object", session.store)
    try:
        version = store.version() if isinstance(store, _Versioned) else None
    except GraysplitError:
        return False
    return version is not None and not version.has_roles
