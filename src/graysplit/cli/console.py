"""The verb that serves the console."""

from __future__ import annotations

import gc
import signal

import click

from graysplit.cli.app import app
from graysplit.cli.exits import DONE
from graysplit.cli.output import say_json, say_whole, tell
from graysplit.cli.session import Session


@app.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="The port on 127.0.0.1.  [default: any free]"
)
@click.option("--read-write", is_flag=True, help="Let the pages change something; without it they only show.")
@click.pass_obj
def console(session: Session, port: int, *, read_write: bool) -> int:
    """Serve the console on this machine until interrupted.

    Prints a link that opens it once, in one browser. Changes are made under your
    name. An application can mount the same console under its own login.
    """
    from graysplit.console.extra import imported

    serve = imported("graysplit.console.serve").serve
    control = session.control
    session.store.load()  # first: without a store there is nothing to show
    gc.enable()  # this run may be long
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped by it

    def told(link: str) -> None:
        if session.json:
            say_json({"link": link, "read_only": not read_write})
        else:
            say_whole(link)
            tell(f"{session.place}{'' if read_write else ', read-only'}; end it with Ctrl-C")

    try:
        serve(control, port, told, read_only=not read_write)
    except KeyboardInterrupt:
        return DONE
    return DONE
