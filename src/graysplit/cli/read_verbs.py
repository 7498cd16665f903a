"""The verbs that only look."""

from __future__ import annotations

from typing import Final

import click

from graysplit.cli.app import app
from graysplit.cli.exits import DONE, UNHEALTHY
from graysplit.cli.options import moment, span
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.session import Session

# Changes that `history` shows unless told otherwise.
SHOWN_AT_MOST: Final = 50


@app.command(name="list")
@click.pass_obj
def list_(session: Session) -> int:
    """Show all splits: weights asked, effective and actual."""
    return list_splits(session)


def list_splits(session: Session) -> int:
    """Print the overview; the bare command does the same."""
    view = session.control.overview()
    if session.json:
        from graysplit.cli.values import overview_json

        say_json(overview_json(view))
    else:
        from graysplit.cli.lines import overview_lines

        say(*overview_lines(view))
    return DONE if view.loss is None else UNHEALTHY


@app.command()
@click.argument("split")
@click.pass_obj
def show(session: Session, split: str) -> int:
    """Show one split, what Redis says, and the emergency lines."""
    view = session.control.show(split)
    if session.json:
        from graysplit.cli.values import show_json

        say_json(show_json(view, session.namespace))
    else:
        from graysplit.cli.lines import show_lines

        say(*show_lines(view, session.namespace, session.control.redis_cli()))
    return DONE if view.loss is None else UNHEALTHY


@app.command()
@click.argument("split", required=False)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N changes.")
@click.pass_obj
def watch(session: Session, split: str | None, count: int | None) -> int:
    """Follow what stands and what a plan waits for, live.

    A terminal is redrawn each second; elsewhere each change is one line, and so
    is each turn that a plan takes. Exit 7 where the guard rolled back meanwhile.
    """
    from graysplit.cli.watch import follow

    return follow(session, split, count)


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@click.option(
    "--until",
    default="confirmed",
    show_default=True,
    metavar="confirmed|safe|done|WEIGHT",
    help="What stands confirmed by all, a verdict, its plan at its end, or a weight in force and confirmed.",
)
@click.option("--timeout", type=span, default="60s", show_default=True, help="Give up then, with exit 6.")
@click.pass_obj
def wait(session: Session, target: str, until: str, timeout: float) -> int:
    """Wait for a split, for pipelines.

    Ends at once with exit 7 where it is rolled back or stopped meanwhile. Lives
    through an outage of the store, and says so.
    """
    from graysplit.cli import wait

    return wait.wait(session, target, until, timeout)


@app.command()
@click.argument("split")
@click.argument("unit")
@click.pass_obj
def explain(session: Session, split: str, unit: str) -> int:
    """Show the ladder that decides for UNIT.

    By the store, with nothing kept in a request; then the processes in which the
    answer is another (break-glass, a version that is not there, ...), as their
    receipts tell, and those of which it is not known.
    """
    found = session.control.explain(split, unit)
    if session.json:
        from graysplit.cli.values import explained_json

        say_json({**explained_json(found), "unit": unit})
    else:
        from graysplit.cli.lines import explain_lines

        say(*explain_lines(found))
    return DONE


@app.command()
@click.argument("split", required=False)
@click.option("--count", "-n", type=click.IntRange(min=1), metavar="N", help="How many at most.  [default: 50]")
@click.option("--since", metavar="TIME", help="Not older: 2h ago, or a UTC time as 2026-12-01T10:00.")
@click.option("--actor", metavar="NAME", help="Only what this actor changed.")
@click.pass_obj
def history(session: Session, split: str | None, count: int | None, since: str | None, actor: str | None) -> int:
    """Show who changed what, when and why, newest first."""
    when = None if since is None else moment(since)
    most = count or SHOWN_AT_MOST
    entries = session.control.history(split, most + 1, since=when, actor=actor)
    if len(entries) > most and count is None:
        tell(f"the newest {most}, and there are more: -n {10 * most}")
    entries = entries[:most]
    if session.json:
        from graysplit.cli.values import entry_json

        say_json({"split": split, "entries": [entry_json(entry) for entry in entries]})
    else:
        from graysplit.cli.lines import history_lines

        narrowed = since is not None or actor is not None
        say(*(history_lines(entries) if entries or not narrowed else ["no change fits that"]))
    return DONE


@app.command()
@click.option(
    "--forget",
    multiple=True,
    metavar="HOST/PID",
    help="Take out one that is known to be dead; may be given several times.",
)
@click.pass_obj
def fleet(session: Session, forget: tuple[str, ...]) -> int:
    """Show the processes that follow, and what they say.

    live: heard within six seconds. silent: not heard, so dead, stopped or cut
    off; for ten minutes commands name it and end with exit 6. gone: not counted
    any more, as its connection ended and a younger process on its host took its
    place, or as it was not heard for ten minutes.
    """
    if forget:
        session.changing = True
        return _forget(session, forget)
    found = session.control.fleet()
    rolls = any(declared.by == "instance" for process in found.processes for declared in process.declared.values())
    crossings = session.control.crossings() if rolls else ()
    if session.json:
        from graysplit.cli.values import fleet_json

        say_json(fleet_json(found, crossings))
    else:
        from graysplit.cli.lines import fleet_lines

        say(*fleet_lines(found, crossings))
    return DONE


def _forget(session: Session, names: tuple[str, ...]) -> int:
    """Take processes out of the fleet, one after the other."""
    taken = [found for name in names for found in session.control.forget(name)]
    if session.json:
        say_json({"forgotten": [{"process": found.label, "boot": found.boot} for found in taken]})
        return DONE
    from graysplit.cli.lines import forgotten_lines

    say(*forgotten_lines(taken))
    return DONE


@app.command()
@click.pass_obj
def doctor(session: Session) -> int:
    """Look for what is wrong; exit 7 if anything is."""
    findings = session.control.doctor()
    problems = [found for found in findings if found.severity == "problem"]
    if session.json:
        say_json({"healthy": not problems, "findings": [found._asdict() for found in findings]})
    else:
        from graysplit.cli.lines import doctor_lines

        say(*doctor_lines(findings))
    return UNHEALTHY if problems else DONE


@app.command()
@click.pass_obj
def export(session: Session) -> int:
    """Print all that the store holds as JSON."""
    say_json(dict(session.control.export()))
    return DONE
