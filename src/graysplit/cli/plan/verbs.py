"""The verbs of plans: start, stop the clock, wave through, drive."""

from __future__ import annotations

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, replacing, unstopping
from graysplit.cli.plan.options import PlanOptions, print_schema, shaping
from graysplit.cli.session import Session


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@shaping
@click.option("--save", metavar="NAME", help="Keep these steps as a template.")
@click.option("--no-guard", is_flag=True, help="Arm no guard with it.")
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_schema,
    help="Print the JSON Schema of plan files, and do nothing else.",
)
@unstopping
@replacing
@changing
@click.pass_obj
def ramp(  # noqa: PLR0913 - click hands every option over by name
    session: Session, target: str, shape: PlanOptions, save: str | None, why: str, *, no_guard: bool, dry_run: bool
) -> int:
    """Raise step by step: each waits for the gates before it.

    Without steps it starts the last plan of SPLIT again, else 20, approve, 50,
    approve, 95 for an hour (--bake), 100: some users stay on old for the guard
    to compare with, where hosts cross over one of them. Processes that follow
    the store take the steps; see what a plan waits for with show, and stop it
    with pause or rollback. It arms the guard, where there is something to watch
    and none stands.

    Steps as 5/5,20/20,50/50 raise all candidates of SPLIT together, in their
    order. It is a raise to the last step: one to 100 % asks for the name. Each step
    needs a gate; --every 0 lets them follow at once on purpose.
    """
    from graysplit.cli.result_lines import finish

    result = session.control.ramp(
        target,
        shape.steps,
        record=shape.record,
        template=shape.template,
        bake_s=shape.bake_s,
        save=save,
        guard=not no_guard,
        yes=session.yes,
        unstop=session.unstop,
        replace=session.replace,
        why=why,
        dry_run=dry_run,
    )
    return finish(session, result)


@app.command()
@click.argument("split")
@click.argument("version")
@shaping
@unstopping
@replacing
@changing
@click.pass_obj
def winner(session: Session, split: str, version: str, shape: PlanOptions, why: str, *, dry_run: bool) -> int:  # noqa: PLR0913 - click hands every option over by name
    """Choose VERSION: everybody gets it, other candidates go to zero.

    One change, at once, or with steps a plan, whose first step brings the
    others to zero. It is a raise to 100 %, and asks for the name. The baseline
    may win too: then all candidates go to zero, without a stop. What `report`
    does not show of VERSION is told as a warning; it refuses nothing.
    """
    from graysplit.cli.result_lines import finish

    result = session.control.winner(
        split,
        version,
        shape.steps,
        record=shape.record,
        template=shape.template,
        bake_s=shape.bake_s,
        unstop=session.unstop,
        replace=session.replace,
        why=why,
        dry_run=dry_run,
    )
    return finish(session, result)


@app.command()
@click.argument("split")
@click.argument("step", metavar="[WEIGHT]", required=False)
@changing
@click.pass_obj
def approve(session: Session, split: str, step: str | None, why: str, *, dry_run: bool) -> int:
    """Say yes to the next step of a plan, or go on in doubt.

    Bound to this release and to the step to WEIGHT, the one that you saw; twice
    is the same as once. Without WEIGHT it is refused in the 10 s after a step:
    your screen may have shown the one before. It is a raise to WEIGHT: 100 %
    asks for the name. Where a guard says suspect, its doubts of this stage are
    accepted.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.approve(split, step, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def pause(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """Stop the clock of a plan; its weight stays.

    A second pause keeps both reasons, each with its own resume.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.pause(split, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@click.option("--all", "everybody", is_flag=True, help="Also the pauses of others.")
@changing
@click.pass_obj
def resume(session: Session, split: str, why: str, *, everybody: bool, dry_run: bool) -> int:
    """End your pauses of a plan.

    Once none is left its clock runs on: the rest shifts, nothing is skipped.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.resume(split, everybody=everybody, why=why, dry_run=dry_run))


@app.command()
@click.option("--notify-url", metavar="URL", multiple=True, help="POST what the history says there, as JSON.")
@click.option("--notify-command", metavar="CMD", multiple=True, help="Run this with the JSON on its standard input.")
@click.option("--notify-on", metavar="CAUSE,...", help="Which changes: rollback, step, ... or all.")
@click.pass_obj
def drive(session: Session, notify_url: tuple[str, ...], notify_command: tuple[str, ...], notify_on: str | None) -> int:
    """Take the steps of plans from here, until interrupted.

    For fleets whose own role may only stop (see: graysplit acl app). Run two,
    for one can be lost: each step is taken once, whoever drives.

    With --notify-url (better: GRAYSPLIT_NOTIFY_URL, which no process list
    shows) or --notify-command it tells people: each change once, whoever
    drives, and twice rather than not at all.
    """
    from graysplit.cli.plan.drive import drive_until_interrupted, hooks_of

    return drive_until_interrupted(session, hooks_of(notify_url, notify_command, notify_on))
