"""The command's frame: options that every verb takes, suggestions, and how each run ends."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, cast

import click

from graysplit.cli import exits
from graysplit.cli.guesses import did_you_mean
from graysplit.cli.output import say_json, tell
from graysplit.cli.session import Session
from graysplit.core.limits import TYPED, Typed
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.version import __version__

# The verbs by what they are for, in the order of `--help`: what helps in an emergency first.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Go back": ("rollback", "undo", "pause"),
    "Inspect": (
        "list",
        "show",
        "watch",
        "console",
        "wait",
        "explain",
        "history",
        "report",
        "simulate",
        "fleet",
        "doctor",
        "notices",
    ),
    "Release": (
        "create",
        "set",
        "ramp",
        "resume",
        "approve",
        "switch",
        "winner",
        "preview",
        "pin",
        "unpin",
        "guard",
        "unguard",
        "unstop",
        "drive",
        "rebalance",
        "finish",
        "delete",
    ),
    "Safeguards": ("freeze", "unfreeze", "protect", "unprotect", "acl"),
    "Store": ("recover", "export"),
}
# Each with the module that knows it: only that one is loaded.
VERBS: Final[Mapping[str, str]] = {
    "rollback": "weight_verbs",
    "undo": "weight_verbs",
    "pause": "plan.verbs",
    "list": "read_verbs",
    "show": "read_verbs",
    "watch": "read_verbs",
    "console": "console",
    "wait": "read_verbs",
    "explain": "read_verbs",
    "history": "read_verbs",
    "report": "guard.report",
    "simulate": "plan.simulate",
    "fleet": "read_verbs",
    "doctor": "read_verbs",
    "notices": "notices",
    "create": "weight_verbs",
    "set": "weight_verbs",
    "ramp": "plan.verbs",
    "resume": "plan.verbs",
    "approve": "plan.verbs",
    "switch": "switch",
    "winner": "plan.verbs",
    "preview": "weight_verbs",
    "pin": "weight_verbs",
    "unpin": "weight_verbs",
    "guard": "guard.verb",
    "unguard": "guard.verb",
    "unstop": "weight_verbs",
    "drive": "plan.verbs",
    "rebalance": "waves",
    "finish": "freeze",
    "delete": "weight_verbs",
    "freeze": "freeze",
    "unfreeze": "freeze",
    "protect": "freeze",
    "unprotect": "freeze",
    "acl": "rights",
    "recover": "weight_verbs",
    "export": "read_verbs",
}
# What each is for, as its own help begins: `--help` loads none of them.
SUMMARIES: Final[Mapping[str, str]] = {
    "rollback": "Roll back: set the weight to zero and add a stop.",
    "undo": "Revert the last change of SPLIT.",
    "pause": "Pause a plan; its weight does not change.",
    "list": "Show all splits: weights set, in force and at the processes.",
    "show": "Show one split, its values in Redis and emergency commands.",
    "watch": "Show weights, plans and their gates live.",
    "console": "Serve the console on this machine until interrupted.",
    "wait": "Wait until a split reaches a state, for pipelines.",
    "explain": "Show why UNIT gets its version.",
    "history": "Show who changed what, when and why, newest first.",
    "report": "Compare the new version with the old one.",
    "simulate": "Show when a plan takes its steps, and which units move.",
    "fleet": "Show the processes that follow the store, and their state.",
    "doctor": "Check for problems; exit 7 if there are any.",
    "notices": "Show undelivered notices; exit 7 if a rollback is among them.",
    "create": "Create SPLIT with all weights at zero.",
    "set": "Set weights in percent: 20, 12.5, 20% or preview.",
    "ramp": "Raise step by step; gates decide when the next step comes.",
    "resume": "Resume a plan: end your own pauses of it.",
    "approve": "Approve the next step of a plan, or accept a doubt.",
    "switch": "Blue-green: send everybody to one version.",
    "winner": "Choose VERSION: everybody gets it, other candidates go to zero.",
    "preview": "Open a candidate to pinned units only.",
    "pin": "Pin UNIT to VERSION; at weight zero it gets the baseline.",
    "unpin": "Remove the pin or the denial of UNIT.",
    "guard": "Watch SPLIT, and roll it back if new is measurably worse.",
    "unguard": "End the watch of SPLIT; asks for the name.",
    "unstop": "Clear a stop.",
    "drive": "Drive plans from here until interrupted.",
    "rebalance": "Fill the waves of SPLIT, which rolls by instance.",
    "finish": "End the release of SPLIT; its weights stay.",
    "delete": "Delete the record of SPLIT and free its name.",
    "freeze": "Block every increase (set, plans, undo, pin).",
    "unfreeze": "End the freeze of PATTERN; asks for the pattern.",
    "protect": "Require a reason and the typed name for every raise of SPLIT.",
    "unprotect": "End the protection of SPLIT; asks for the name.",
    "acl": "Print the ACL line that gives a server's user a role.",
    "recover": "After data loss: compare both sides, write the lower weights.",
    "export": "Print the whole content of the store as JSON.",
}
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:  # Any: an option's value
    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - an option's value
        check_given(ctx, param, value)
        check_length(ctx, param, value)
        if value is not None and value is not False:
            setattr(ctx.ensure_object(Session), name, value)

    return keep


def common() -> list[click.Parameter]:
    """Make the options that stand before or after the verb."""
    return [
        click.Option(
            ["--url"], expose_value=False, callback=_keep("url"), metavar="URL", help="The store  [env: GRAYSPLIT_URL]"
        ),
        click.Option(
            ["--namespace"],
            expose_value=False,
            callback=_keep("namespace"),
            metavar="NAME",
            help="Its namespace  [env: GRAYSPLIT_NAMESPACE; default: default]",
        ),
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_keep("json"), help="Print JSON, for scripts."
        ),
    ]


def check_given(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Raise a usage error for an empty value: an unset shell variable must not mean everything, or the default."""
    if value == "" or (isinstance(value, tuple) and "" in value):
        raise click.UsageError(
            f"{param.get_error_hint(ctx)} is empty (an unset shell variable?); nothing was done", ctx
        )


def check_length(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Raise a usage error for a text that is longer than the table of limits says; a rollback's reason is cut."""
    if ctx.info_name == "rollback" and param.name == "why":
        return
    what = TYPED_AS.get(param.name or "", "text")
    for text in cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and len(text) > TYPED[what]:
            raise click.UsageError(
                f"{param.get_error_hint(ctx)} has {len(text)} characters; at most {TYPED[what]} are allowed; "
                "nothing was done",
                ctx,
            )


def check_words(ctx: click.Context, words: Sequence[str]) -> None:
    """Raise a usage error where a word is longer than any text may be."""
    for number, word in enumerate(words, 1):
        if len(word) > TYPED["text"]:
            raise click.UsageError(
                f"word {number} after {ctx.info_name} has {len(word)} characters; at most {TYPED['text']} are "
                "allowed; nothing was done",
                ctx,
            )


class Verb(click.Command):
    """A command that takes the common options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        """Add the common options behind the command's own."""
        super().__init__(*args, **kwargs)
        self.params += common()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, and refuse those that are empty, but for a reason, and those that are too long."""
        if ctx.info_name != "rollback":  # before anything quotes one of them
            check_words(ctx, args)
        rest = super().parse_args(ctx, args)
        for param in self.params:
            value = ctx.params.get(param.name or "")
            if param.name != "why":
                check_given(ctx, param, value)
            check_length(ctx, param, value)
        return rest


# Which limit holds a parameter; for the others it is that of any text.
TYPED_AS: Final[dict[str, Typed]] = {
    "why": "reason",
    "unit": "unit",
    "salt": "salt",
    "url": "address",
    "notify_url": "address",
    "console_url": "address",
    "actor": "actor",
    "save": "name",
    "template": "name",
    "namespace": "name",
    "stop_on": "class name",
    "ignore": "class name",
}


class Verbs(click.Group):
    """A group that knows what was meant."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was meant; `help` is answered as `--help` is."""
        if args[0] == "help":
            if len(args) == 1:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [args[1], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as fault:
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"unknown command '{args[0]}'.{hint} See all with: graysplit --help", ctx) from fault

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading its module when it is first asked for."""
        if cmd_name in VERBS and cmd_name not in self.commands:
            load(cmd_name)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the commands in the order of the table, going back first."""
        return [*VERBS]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the commands with what each is for, from the table."""
        longest = max(map(len, VERBS))
        for group, verbs in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(verb.ljust(longest), SUMMARIES[verb]) for verb in verbs])


_EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in exits.MEANINGS.items()) + "."


@click.group(cls=Verbs, invoke_without_command=True, context_settings=CONTEXT, params=common(), epilog=_EPILOG)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context) -> int:
    """Move traffic from an old path to a new one, and back.

    Without a verb it shows all splits. A candidate is addressed as in Redis:
    checkout/new, or checkout if there is only one.

    Every change waits up to 5 s for the receipts of the processes that follow
    the store. If no process follows it, the command says so and exits 0.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    overview = app.get_command(ctx, "list")  # loaded by name, as every verb is
    assert overview is not None  # noqa: S101 - it is in the table
    code: int = ctx.invoke(overview)
    return code


def run(args: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    session = Session()
    session.json = asks_for_json(sys.argv[1:] if args is None else args)
    try:
        code = app.main(args=args, prog_name="graysplit", standalone_mode=False, obj=session)
    except click.ClickException as fault:
        return _usage(session, fault)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(session)
    except GraysplitError as fault:
        return tell_fault(session, fault)
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE
    except Exception as defect:  # noqa: BLE001 - without this it would end with 1, which says that nothing was written
        return _defect(session, defect)
    finally:
        session.close()
    return code if isinstance(code, int) else exits.DONE


def asks_for_json(args: Sequence[str]) -> bool:
    """Return whether `--json` is among the words: wrong usage is told in JSON too, and nothing is parsed by then."""
    return "--json" in itertools.takewhile(lambda word: word != "--", args)


def load(verb: str) -> None:
    """Import the module of a verb, which adds its commands to the group."""
    import_module(f"graysplit.cli.{VERBS[verb]}")


def _usage(session: Session, fault: click.ClickException) -> int:
    ctx = fault.ctx if isinstance(fault, click.UsageError) else None
    path = ctx.command_path if ctx else "graysplit"
    message = fault.format_message().rstrip(".")
    return _say_fault(session, f"{message}. See: {path} --help" if "--help" not in message else message, exits.USAGE)


def tell_fault(session: Session, fault: GraysplitError) -> int:
    """Print what went wrong, and return the exit code."""
    code = exits.code_of(fault)
    message = str(fault)
    if isinstance(fault, StoreUnreachableError):
        return _outage(session, fault, code)
    return _say_fault(session, message, code)


def _outage(session: Session, fault: StoreUnreachableError, code: int) -> int:
    from graysplit.words.outage import outage_lines, written_words

    stands = session.written is not None or fault.written is True
    written = True if stands else None if session.attempted else False
    words = written_words(fault, written) if session.changing else ""
    tell(*outage_lines(fault, words))
    if session.json:
        done = {"rollbacks": session.documents} if session.documents else {}
        say_json({"error": f"{fault}. {words}".rstrip(". "), "exit": code, "written": written, **done})
    return code


def _say_fault(session: Session, message: str, code: int) -> int:
    tell(f"graysplit: {message}")
    if session.json:
        done = {"rollbacks": session.documents} if session.documents else {}
        say_json({"error": message, "exit": code, **done})
    return code


def _defect(session: Session, defect: Exception) -> int:
    import traceback

    tell(*traceback.format_exc().splitlines())
    return _say_fault(
        session, f"an internal error of graysplit ({type(defect).__name__}): {_said(session)}", exits.DEFECT
    )


def _interrupted(session: Session) -> int:
    message = f"interrupted: {_said(session)}"
    tell(message)
    if session.json:
        say_json({"error": message, "exit": exits.INTERRUPTED})
    return exits.INTERRUPTED


def _said(session: Session) -> str:
    """Return whether a run that broke off has written its change."""
    if session.said:
        return session.said
    if session.written is not None:
        return f"the change was written (revision {session.written.revision}); some receipts are missing"
    return _was_written(session, session.attempted) if session.attempted is not None else "nothing was written"


def _was_written(session: Session, change: str) -> str:
    """Look for a change that was on its way when Ctrl-C came."""
    try:
        entries = session.control.history(None, 100)
    except (GraysplitError, KeyboardInterrupt):
        return "it is not known whether the change was written. See: graysplit history"
    found = next((entry for entry in entries if entry.id == change), None)
    if found is None:
        return "the change is not in the history. See: graysplit list"
    return f"the change was written (revision {found.revision})"
