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
@click.option("--save", metavar="NAME", help="Save these steps as a template.")
@click.option("--no-guard", is_flag=True, help="Do not arm a guard.")
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
    """Raise step by step; gates decide when the next step comes.

    Without steps it starts the last plan of SPLIT again. If there is none: 20,
    approve, 50, approve, 95 for an hour (--bake), 100. At 95 % the guard still
    has users on old to compare with (of hosts, at least one). The processes that
    follow the store take the steps. `show` tells what a plan waits for; `pause`
    and `rollback` stop it. The command arms a guard if there is none and
    something to watch.

    Steps as 5/5,20/20,50/50 raise all candidates of SPLIT together, in their
    order. The plan counts as a raise to its last step: 100 % asks for the name.
    Each step needs a gate; with --every 0 steps follow at once.
    """
    from graysplit.cli.result_lines import finish

    result = session.control.ramp(
        target,
        shape.steps,
        plan=shape.plan,
        template=shape.template,
        bake=shape.bake,
        save=save,
        guard=not no_guard,
        allow_needless=session.yes,
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

    One change at once; with steps a plan, whose first step sets the others to
    zero. It is a raise to 100 %, and asks for the name. The baseline may win
    too: then all candidates go to zero, without a stop. A warning names each
    advantage of VERSION that `report` does not show; it does not refuse.
    """
    from graysplit.cli.result_lines import finish

    result = session.control.winner(
        split,
        version,
        shape.steps,
        plan=shape.plan,
        template=shape.template,
        bake=shape.bake,
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
    """Approve the next step of a plan, or accept a doubt.

    The approval counts for this release and for the step to WEIGHT only; giving
    it twice changes nothing. Without WEIGHT it is refused in the 10 s after a
    step, because your screen may show the step before. It is a raise to WEIGHT:
    100 % asks for the name. If the verdict is suspect, the approval accepts the
    doubts of this stage.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.approve(split, step, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def pause(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """Pause a plan; its weight does not change.

    A second person's pause is added: each person resumes their own.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.pause(split, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@click.option("--all", "everybody", is_flag=True, help="End the pauses of other people too.")
@changing
@click.pass_obj
def resume(session: Session, split: str, why: str, *, everybody: bool, dry_run: bool) -> int:
    """Resume a plan: end your own pauses of it.

    When no pause is left the plan continues: later steps shift, none is skipped.
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.resume(split, everybody=everybody, why=why, dry_run=dry_run))


@app.command()
@click.option("--notify-url", metavar="URL", multiple=True, help="POST each change to URL as JSON.")
@click.option("--notify-command", metavar="CMD", multiple=True, help="Run CMD with the JSON on its standard input.")
@click.option("--notify-on", metavar="CAUSE,...", help="Which changes to send: rollback, step, ... or all.")
@click.option("--console-url", metavar="URL", help="The console's address: notices link to it.")
@click.pass_obj
def drive(
    session: Session,
    notify_url: tuple[str, ...],
    notify_command: tuple[str, ...],
    notify_on: str | None,
    console_url: str | None,
) -> int:
    """Drive plans from here until interrupted.

    For fleets whose role in the store may only lower (see: graysplit acl app).
    Run two of them, because one can fail; each step is still taken once.

    With --notify-url (better: GRAYSPLIT_NOTIFY_URL, which process lists do not
    show) or --notify-command it notifies people of each change: once, even with
    several drivers; in a failure rather twice than never. slack+https://... and
    teams+https://... send what the webhooks of these chats take.
    """
    from graysplit.cli.plan.drive import drive_until_interrupted, hooks_of

    return drive_until_interrupted(session, hooks_of(notify_url, notify_command, notify_on, console_url))
