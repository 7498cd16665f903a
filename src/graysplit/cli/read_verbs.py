"""The verbs that only look."""

from __future__ import annotations

from typing import Final

import click

from graysplit import native
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
    """Show all splits: weights set, in force and at the processes."""
    view = session.control.overview()
    if session.json:
        from graysplit.words.values import overview_json

        say_json(overview_json(view))
    else:
        from graysplit.cli.lines import overview_lines

        say(*overview_lines(view))
    return DONE if view.loss is None else UNHEALTHY


@app.command()
@click.argument("split")
@click.pass_obj
def show(session: Session, split: str) -> int:
    """Show one split, its values in Redis and emergency commands."""
    view = session.control.show(split)
    if session.json:
        from graysplit.words.values import show_json

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
    """Show weights, plans and their gates live.

    Redraws a terminal each second; without a terminal it prints one line for each
    change and each new state of a plan. Exit 7 if a guard rolled back meanwhile.

    Keys, if standard input and output are terminals (not on Windows): r rolls
    back, p pauses a plan, a approves its next step, j prints the state as JSON and
    then each change as a line (again: the picture), q quits, ? shows them. r, p
    and a ask once, and act as the commands do: for SPLIT, or they ask which.
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
    help="All show the last change; the verdict is safe; the plan is done; or WEIGHT is in force and confirmed.",
)
@click.option(
    "--timeout",
    type=span,
    metavar="TIME",
    default="60s",
    show_default=True,
    help="Give up after this time, with exit 6.",
)
@click.pass_obj
def wait(session: Session, target: str, until: str, timeout: float) -> int:
    """Wait until a split reaches a state, for pipelines.

    Ends at once with exit 7 if the split is rolled back or stopped meanwhile.
    Waits through an outage of the store, and reports the outage.
    """
    from graysplit.cli import wait

    return wait.wait(session, target, until, timeout)


@app.command()
@click.argument("split")
@click.argument("unit")
@click.pass_obj
def explain(session: Session, split: str, unit: str) -> int:
    """Show why UNIT gets its version.

    Answers from the store, without choices kept in a request. Then it names the
    processes whose answer differs by their receipts (break-glass, a version that
    is missing there, ...), and those whose answer is not known.
    """
    explanation = session.control.explain(split, unit)
    if session.json:
        from graysplit.words.values import explained_json

        say_json({**explained_json(explanation), "unit": unit})
    else:
        from graysplit.words.explain import explain_lines

        say(*explain_lines(explanation))
    return DONE


@app.command()
@click.argument("split", required=False)
@click.option("--count", "-n", type=click.IntRange(min=1), metavar="N", help="The most changes to show.  [default: 50]")
@click.option("--since", metavar="TIME", help="Only changes since then: 2h ago, or a UTC time as 2026-12-01T10:00.")
@click.option("--actor", metavar="NAME", help="Only changes by this actor.")
@click.pass_obj
def history(session: Session, split: str | None, count: int | None, since: str | None, actor: str | None) -> int:
    """Show who changed what, when and why, newest first."""
    when = None if since is None else moment(since)
    most = count or SHOWN_AT_MOST
    entries = session.control.history(split, most + 1, since=when, actor=actor)
    if len(entries) > most and count is None:
        tell(f"only the newest {most} are shown; more with: -n {10 * most}")
    entries = entries[:most]
    if session.json:
        from graysplit.words.entries import entry_json

        say_json({"split": split, "entries": [entry_json(entry) for entry in entries]})
    else:
        from graysplit.cli.lines import history_lines

        narrowed = since is not None or actor is not None
        say(*(history_lines(entries) if entries or not narrowed else ["no matching change"]))
    return DONE


@app.command()
@click.option(
    "--forget",
    multiple=True,
    metavar="HOST/PID",
    help="Remove a process that is known to be dead; may be given several times.",
)
@click.pass_obj
def fleet(session: Session, forget: tuple[str, ...]) -> int:
    """Show the processes that follow the store, and their state.

    live: heard within six seconds. silent: not heard, so dead, stopped or cut
    off; for ten minutes commands name the process and end with exit 6. gone: no
    longer counted, because its connection ended and a younger process on its host
    took its place, or because it was not heard for ten minutes.
    """
    if forget:
        session.changing = True
        return _forget(session, forget)
    found = session.control.fleet()
    rolls = any(declared.by == "instance" for process in found.processes for declared in process.declared.values())
    crossings = session.control.crossings() if rolls else ()
    if session.json:
        from graysplit.words.values import fleet_json

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
    """Check for problems; exit 7 if there are any."""
    findings = session.control.doctor()
    problems = [finding for finding in findings if finding.severity == "problem"]
    if session.json:
        say_json(
            {"healthy": not problems, "findings": [finding._asdict() for finding in findings], "core": native.words}
        )
    else:
        from graysplit.cli.lines import doctor_lines

        say(*doctor_lines(findings))
    return UNHEALTHY if problems else DONE


@app.command()
@click.pass_obj
def export(session: Session) -> int:
    """Print the whole content of the store as JSON."""
    say_json(dict(session.control.export()))
    return DONE
