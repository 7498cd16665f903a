"""The verbs that change something."""

from __future__ import annotations

import sys
from typing import Literal

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, replacing, span, unstopping
from graysplit.cli.output import tell
from graysplit.cli.session import Session


@app.command()
@click.argument("split")
@click.option(
    "--versions", metavar="OLD,NEW", help="The first is the baseline.  [default: from live code, else old,new]"
)
@click.option("--add", metavar="VERSION", help="Add a candidate, at zero, to a SPLIT that exists.")
@click.option("--salt", metavar="TEXT", help="Choose other units than the name of the split would.")
@click.option(
    "--max-stale",
    type=span,
    metavar="TIME",
    help="Give everybody the baseline after so long without contact to the store.",
)
@click.option(
    "--in-flight",
    type=click.Choice(["finish"]),
    help="Let open requests keep their choice at weight zero, but never at a stop.",
)
@click.option(
    "--by",
    type=click.Choice(["unit", "instance"]),
    help="With instance, hosts cross over in waves.  [default: from live code]",
)
@changing
@click.pass_obj
def create(  # noqa: PLR0913, PLR0917 - click hands every option over by name
    session: Session,
    split: str,
    versions: str | None,
    add: str | None,
    salt: str | None,
    max_stale: float | None,
    in_flight: Literal["finish"] | None,
    by: Literal["unit", "instance"] | None,
    why: str,
    *,
    dry_run: bool,
) -> int:
    """Create SPLIT with all weights at zero.

    With --add it adds a candidate to a split that exists; no unit moves.
    `delete SPLIT/VERSION` removes the candidate.
    """
    from graysplit.cli.result_lines import finish

    names = [name.strip() for name in versions.split(",")] if versions is not None else None
    limit = None if max_stale is None else int(max_stale)
    result = session.control.create(
        split, names, add=add, salt=salt, max_stale=limit, in_flight=in_flight, by=by, why=why, dry_run=dry_run
    )
    return finish(session, result)


@app.command(name="set")
@click.argument("target", metavar="SPLIT[/VERSION]")
@click.argument("weights", nargs=-1, required=True, metavar="WEIGHT | VERSION=WEIGHT...")
@click.option("--from", "from_", metavar="WEIGHT", help="Only if this weight is in force now.")
@click.option("--if-rev", type=int, metavar="N", help="Only if the split is unchanged since revision N.")
@click.option(
    "--for",
    "for_s",
    type=span,
    metavar="TIME",
    help="Raise for this time only, as 30m; then the weight goes back by itself.",
)
@unstopping
@replacing
@changing
@click.pass_obj
def set_(  # noqa: PLR0913, PLR0917 - click hands every option over by name
    session: Session,
    target: str,
    weights: tuple[str, ...],
    from_: str | None,
    if_rev: int | None,
    for_s: float | None,
    why: str,
    *,
    dry_run: bool,
) -> int:
    """Set weights in percent: 20, 12.5, 20% or preview.

    A weight above zero begins a new release. If a stop is set, the command shows
    it and asks for the name, or needs --unstop. It creates a split that live code
    declares. 100 % asks for the name.
    """
    from graysplit.cli.result_lines import finish

    bare, typed = read_weights(weights)
    result = session.control.set(
        target,
        bare,
        weights=typed,
        from_=from_,
        if_rev=if_rev,
        allow_needless=session.yes,
        for_=for_s,
        unstop=session.unstop,
        replace=session.replace,
        why=why,
        dry_run=dry_run,
    )
    return finish(session, result)


@app.command()
@click.argument("targets", nargs=-1, metavar="[SPLIT[/VERSION]]...")
@click.option("--all", "everything", is_flag=True, help="Every unfinished release.")
@changing
@click.pass_obj
def rollback(session: Session, targets: tuple[str, ...], why: str, *, everything: bool, dry_run: bool) -> int:
    """Roll back: set the weight to zero and add a stop.

    Everybody gets the baseline. Never asks and never refuses, reads only after
    it has written, and may be repeated. `set --unstop` starts again. Exit 3 if a
    name is unknown.
    """
    from graysplit.cli.rollbacks import roll_back

    if everything == bool(targets):
        raise click.UsageError("name a split, or --all: graysplit rollback SPLIT, graysplit rollback --all")
    return roll_back(session, ["*"] if everything else [*dict.fromkeys(targets)], why, dry_run=dry_run)


@app.command()
@click.argument("split")
@click.option("--force", is_flag=True, help="Also raise weights that the last change set to zero.")
@unstopping
@replacing
@changing
@click.pass_obj
def undo(session: Session, split: str, why: str, *, force: bool, dry_run: bool) -> int:
    """Revert the last change of SPLIT.

    Refused if the values that it wrote have changed since. If the undo raises, it
    asks for the name; if it clears a stop, it needs --unstop.
    """
    from graysplit.cli.result_lines import finish

    return finish(
        session,
        session.control.undo(
            split, force=force, unstop=session.unstop, replace=session.replace, why=why, dry_run=dry_run
        ),
    )


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@unstopping
@replacing
@changing
@click.pass_obj
def preview(session: Session, target: str, why: str, *, dry_run: bool) -> int:
    """Open a candidate to pinned units only."""
    from graysplit.cli.result_lines import finish

    return finish(
        session,
        session.control.preview(target, unstop=session.unstop, replace=session.replace, why=why, dry_run=dry_run),
    )


@app.command()
@click.argument("split")
@click.argument("unit")
@click.argument("version", required=False)
@click.option("--deny", is_flag=True, help="Always the baseline for this unit.")
@changing
@click.pass_obj
def pin(  # noqa: PLR0913 - click hands every option over by name
    session: Session, split: str, unit: str, version: str | None, why: str, *, deny: bool, dry_run: bool
) -> int:
    """Pin UNIT to VERSION; at weight zero it gets the baseline."""
    from graysplit.cli.result_lines import finish

    if deny and version is not None:
        raise click.UsageError("--deny takes no VERSION: graysplit pin SPLIT UNIT --deny")
    result = session.control.pin(split, unit, version, deny=deny, why=why, dry_run=dry_run)
    tell(f"unit '{unit}' of {split}: always gets {'the baseline ' if deny else ''}{result.pinned}")
    return finish(session, result)


@app.command()
@click.argument("split")
@click.argument("unit")
@changing
@click.pass_obj
def unpin(session: Session, split: str, unit: str, why: str, *, dry_run: bool) -> int:
    """Remove the pin or the denial of UNIT."""
    from graysplit.cli.result_lines import finish

    result = session.control.unpin(split, unit, why=why, dry_run=dry_run)
    tell(f"unit '{unit}' of {split}: no longer pinned or denied")
    return finish(session, result)


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION] | '*'")
@changing
@click.pass_obj
def unstop(session: Session, target: str, why: str, *, dry_run: bool) -> int:
    """Clear a stop.

    Shows who set it, and asks for the name at a terminal. Without a terminal it
    needs --yes if a weight under the stop is above zero.
    """
    from graysplit.cli.result_lines import finish

    session.unstop = session.yes or not sys.stdin.isatty()
    return finish(session, session.control.unstop(target, why=why, dry_run=dry_run))


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@changing
@click.pass_obj
def delete(session: Session, target: str, why: str, *, dry_run: bool) -> int:
    """Delete the record of SPLIT and free its name.

    Refused while a weight is above zero, unless the release is finished and no
    live code declares SPLIT. Asks for the name. With VERSION it removes only that
    candidate, which must be at zero; no other candidate changes.
    """
    from graysplit.cli.result_lines import finish

    return finish(session, session.control.delete(target, why=why, dry_run=dry_run))


@app.command()
@click.argument("splits", nargs=-1, metavar="[SPLIT]...")
@click.option(
    "--source",
    default="fleet",
    show_default=True,
    metavar="fleet|FILE",
    help="The fleet, or a last-known-good file, an export or a bootstrap file.",
)
@click.option(
    "--take",
    type=click.Choice(["lower", "source"]),
    default="lower",
    show_default=True,
    help="Write the lower value of the two, or the source's.",
)
@changing
@click.pass_obj
def recover(  # noqa: PLR0913 - click hands every option over by name
    session: Session, splits: tuple[str, ...], source: str, take: Literal["lower", "source"], why: str, *, dry_run: bool
) -> int:
    """After data loss: compare both sides, write the lower weights.

    Ends SOURCE_REGRESSED, repairs lost keys, and rebuilds an empty namespace from
    the data of live processes or from FILE. If a weight rises it asks for the
    name.
    """
    from graysplit.cli.recovery import recovered, show_sides

    recovery = session.control.recover(splits, source=source, take=take, why=why, dry_run=True)
    show_sides(session, recovery)
    if not dry_run and recovery.needed:
        recovery = session.control.recover(splits, source=source, take=take, why=why, seen=recovery)
    return recovered(session, recovery)


def read_weights(words: tuple[str, ...]) -> tuple[str | None, dict[str, str]]:
    """Read `20`, or `b=10 c=10`; raise a usage error for a mixture."""
    named = [word.partition("=") for word in words if "=" in word]
    bare = [word for word in words if "=" not in word]
    typed = {name: weight for name, _, weight in named}
    if len(bare) > 1 or (bare and typed) or len(typed) != len(named):
        raise click.UsageError("give one weight, or each with its version once, as in: graysplit set ranking b=10 c=10")
    return (bare[0] if bare else None), typed
