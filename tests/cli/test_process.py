"""The command line as a process, on a real server and without one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from graysplit.cli.output import COPY
from graysplit.stores import store_from_url
from tests import warm
from tests.control.processes import live
from tests.support import eventually

CLI = (sys.executable, "-m", "graysplit.cli")
Cli = Callable[..., subprocess.CompletedProcess[str]]


def surroundings(url: str, namespace: str) -> dict[str, str]:
    """Return the environment of a command."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GRAYSPLIT_")}
    return {**kept, "GRAYSPLIT_URL": url, "GRAYSPLIT_NAMESPACE": namespace, "GRAYSPLIT_ACTOR": "ada@lab"}


@pytest.fixture
def cli(redis_url: str, namespace: str) -> Cli:
    """Run a command to its end on the test server."""

    def command(*words: str, anew: bool = False) -> subprocess.CompletedProcess[str]:
        return warm.run("graysplit.cli", *words, env=surroundings(redis_url, namespace), timeout=60, anew=anew)

    return command


@contextmanager
def running(url: str, namespace: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Have a command running, ended by its id whatever happens."""
    with subprocess.Popen(
        [*CLI, *words],
        env=surroundings(url, namespace),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_whole_way_and_back(cli: Cli) -> None:
    """Create, raise, look, go back, each verb an interpreter of its own; plain text, no colour, 80 columns."""
    story = (
        "create checkout",
        "set checkout 20",
        "list",
        "show checkout",
        "explain checkout user-1",
        "history checkout",
        "fleet",
        "doctor",
        "rollback checkout",
        "rollback checkout",
        "undo checkout",
        "rollback --all",
        "unstop checkout",
        "delete checkout --yes",
    )
    for line in story:
        ran = cli(*line.split(), anew=True)
        assert ran.returncode == 0, (line, ran)
        assert ran.stdout, line
        said = ran.stderr.splitlines()
        beginning = [row for row in said if row.startswith("namespace ")]
        assert said == [*beginning, *(row for row in said if row.startswith("the way back: graysplit "))], (line, said)
        assert len(beginning) == (line.split()[0] not in {"list", "show", "explain", "history", "fleet", "doctor"})
        assert "\x1b" not in ran.stdout, line
        assert all(len(row) <= 80 for row in ran.stdout.splitlines() if not row.startswith(COPY)), ran.stdout


def test_a_raw_edit_is_seen_and_undone_by_hand(cli: Cli, redis_url: str, namespace: str) -> None:
    """What redis-cli writes is what `list` shows, and `rollback` overwrites what is no weight."""
    import redis

    cli("create", "checkout")
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "1_0")
        assert json.loads(cli("doctor", "--json").stdout)["healthy"] is False
        assert json.loads(cli("rollback", "checkout", "--json").stdout)["to"] == 0
        assert client.hget(f"graysplit:{{{namespace}}}:weights", "checkout/new") == b"0"
    assert cli("doctor").returncode == 0


@pytest.mark.parametrize("lost", ["weights", "stops", "splits", "meta"])
def test_a_rollback_works_beside_a_key_of_the_wrong_type(cli: Cli, redis_url: str, namespace: str, lost: str) -> None:
    """It succeeds whichever key is broken, and nothing else does harm to it."""
    import redis

    cli("create", "checkout")
    cli("set", "checkout", "20")
    with closing(redis.Redis.from_url(redis_url)) as client:
        key = f"graysplit:{{{namespace}}}:{lost}"
        client.delete(key)
        client.set(key, "no hash")
        ran = cli("rollback", "checkout")
        assert (ran.returncode, "rollback checkout" in ran.stdout) == (0, True), ran
        assert cli("set", "checkout", "30").returncode == 1
        assert cli("doctor").returncode == 7


@pytest.mark.parametrize(
    "line",
    [
        "list",
        "show checkout",
        "watch --count 1",
        "wait checkout",
        "explain checkout u",
        "history",
        "fleet",
        "doctor",
        "create checkout",
        "set checkout 20",
        "rollback checkout",
        "rollback --all",
        "undo checkout",
        "preview checkout",
        "pin checkout u",
        "unpin checkout u",
        "unstop checkout",
        "delete checkout --yes",
        "export",
        "",
    ],
)
def test_without_redis_each_command_ends_with_5(line: str) -> None:
    """The break-glass line is printed, soon, and no password with it."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"redis://:hush-hush@127.0.0.1:{taken.getsockname()[1]}/0"
        began = time.monotonic()
        ran = warm.run("graysplit.cli", *line.split(), env=surroundings(url, "default"), timeout=30)
        took = time.monotonic() - began
    assert ran.returncode == 5, ran
    assert "GRAYSPLIT_OFF" in ran.stderr
    assert "hush-hush" not in ran.stdout + ran.stderr
    assert took < 10


@pytest.mark.parametrize(
    ("line", "address"),
    [
        *((line, "redis://{}") for line in ("list", "watch --count 1", "wait checkout", "doctor", "set checkout 20")),
        ("rollback checkout", "redis://{}"),
        ("rollback checkout", "redis://{}?db=3"),
        ("rollback checkout", "redis://:hush@{}"),
        ("rollback checkout", "redis+sentinel://{},{},{}/main"),
        ("rollback checkout", "redis+cluster://{},{},{}"),
    ],
)
def test_with_redis_half_open_each_command_ends_with_5_soon(
    line: str, address: str, record_property: Callable[[str, object], None]
) -> None:
    """A server that takes connections and never answers costs about a second, whatever is asked of it first.

    The promise is two seconds in all; a busy machine gets room for the start of Python.
    """
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        began = time.monotonic()
        ran = warm.run(
            "graysplit.cli", *line.split(), env=surroundings(address.replace("{}", host), "default"), timeout=30
        )
        took = time.monotonic() - began
    record_property("took s", round(took, 2))
    assert ran.returncode == 5, ran
    assert "GRAYSPLIT_OFF" in ran.stderr
    assert took < 4


def test_ctrl_c_after_the_write_says_so(cli: Cli, redis_url: str, namespace: str) -> None:
    """The written line comes first; an interrupt while waiting ends with 130 and says it was written."""
    cli("create", "checkout")
    with closing(store_from_url(redis_url, namespace)) as store:
        live(store, 1)
        with running(redis_url, namespace, "rollback", "checkout", "--wait", "60s") as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("written: rollback checkout")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: the change was written (revision" in err


def test_watch_ends_when_interrupted(cli: Cli, redis_url: str, namespace: str) -> None:
    """Each change is a line as soon as it is made; Ctrl-C ends with 130."""
    cli("create", "checkout")
    with running(redis_url, namespace, "watch") as process, closing(store_from_url(redis_url, namespace)) as store:
        assert process.stdout is not None
        printed = process.stdout.fileno()
        seen = b""

        def watched() -> bool:
            nonlocal seen
            cli("set", "checkout", "20", "--no-wait")
            if select.select([printed], [], [], 0)[0]:  # a text file would not take "nothing yet" for an answer
                seen += os.read(printed, 4096)
            return b"set checkout" in seen

        eventually(watched, within=30.0)
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.returncode == 130
        assert store.history("checkout", 1)


def test_at_a_terminal_the_name_is_asked(cli: Cli, redis_url: str, namespace: str) -> None:
    """100 % wants the name typed; anything else writes nothing."""
    cli("create", "checkout")
    assert typed(redis_url, namespace, "chekout\n", "set", "checkout", "100") == 1
    assert json.loads(cli("list", "--json").stdout)["candidates"][0]["asked"] == 0
    assert typed(redis_url, namespace, "checkout\n", "set", "checkout", "100") == 0
    assert json.loads(cli("list", "--json").stdout)["candidates"][0]["asked"] == 100
    assert typed(redis_url, namespace, "\x03", "set", "checkout", "50") == 0


def test_an_emptied_store_is_sown_anew(cli: Cli, redis_url: str, namespace: str, tmp_path: Path) -> None:
    """From what `export` printed: at zero, or with the file's weights where the namespace's name is typed."""
    import redis

    def emptied(*words: str) -> subprocess.CompletedProcess[str]:
        with closing(redis.Redis.from_url(redis_url)) as client:
            client.delete(*client.keys(f"graysplit:{{{namespace}}}:*"))
        return cli("recover", *words)

    cli("create", "checkout")
    cli("set", "checkout", "20")
    file = tmp_path / "export.json"
    file.write_text(cli("export").stdout)
    assert emptied().returncode == 1
    ran = cli("recover", "--source", str(file))
    assert ran.returncode == 0, ran
    assert f"namespace {namespace} is empty: it is rebuilt" in ran.stdout
    assert json.loads(cli("list", "--json").stdout)["candidates"][0]["asked"] == 0
    assert emptied("--source", str(file), "--take", "source").returncode == 1
    words = ("recover", "--source", str(file), "--take", "source")
    assert typed(redis_url, namespace, "checkout\n", *words) == 1
    assert json.loads(cli("list", "--json").stdout)["candidates"] == []
    assert typed(redis_url, namespace, f"{namespace}\n", *words) == 0
    assert json.loads(cli("list", "--json").stdout)["candidates"][0]["asked"] == 20


def test_a_lost_key_is_made_whole(cli: Cli, redis_url: str, namespace: str) -> None:
    """Both sides are told before it is asked for; then the store takes ordinary changes again."""
    import redis

    cli("create", "checkout")
    cli("set", "checkout", "20")
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.delete(f"graysplit:{{{namespace}}}:weights")
        assert "graysplit recover" in cli("doctor").stdout
        assert "graysplit recover" in cli("set", "checkout", "30").stderr
        ran = cli("recover")
        assert (ran.returncode, "checkout/new" in ran.stdout, "--yes" in ran.stderr) == (1, True, True)
        assert cli("recover", "--yes").returncode == 0
        assert client.hgetall(f"graysplit:{{{namespace}}}:weights") == {b"_": b"1", b"checkout/new": b"20"}
    assert cli("set", "checkout", "30").returncode == 0


def typed(url: str, namespace: str, keys: str, *words: str) -> int:
    """Run a command at a terminal of its own with these keys typed, and return its exit code."""
    mine, its = pty.openpty()
    try:
        process = subprocess.Popen(
            [*CLI, *words], env=surroundings(url, namespace), stdin=its, stdout=its, stderr=its, start_new_session=True
        )
        os.write(mine, keys.encode())
        return process.wait(60)
    finally:
        os.close(mine)
        os.close(its)


def test_a_reader_that_leaves_is_no_error(cli: Cli, redis_url: str, namespace: str) -> None:
    """`graysplit history | head -1` ends quietly."""
    cli("create", "checkout")
    with running(redis_url, namespace, "history") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert err == ""


@pytest.mark.parametrize("words", [("--help",), ("set", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    """Help and Tab load neither pydantic nor redis nor rich."""
    assert not imported(words) & {"pydantic", "redis", "rich", "opentelemetry", "asyncio", "graysplit.control"}


def test_completion_imports_nothing_heavy() -> None:
    """The shell's Tab is answered without them too."""
    ran = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "import sys; sys.argv[0] = 'graysplit'; from graysplit.cli import main; main()",
        ],
        env={**os.environ, "_GRAYSPLIT_COMPLETE": "bash_complete", "COMP_WORDS": "graysplit ro", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "rollback" in ran.stdout
    assert not modules(ran.stderr) & {"pydantic", "redis", "rich", "opentelemetry"}


def test_rollback_imports_no_parser(redis_url: str) -> None:
    """Going back loads redis and no more; an import that was turned away is listed by its first name only."""
    unknown = imported(("rollback", "checkout", "--url", redis_url, "--namespace", "imports"), 3)
    with closing(store_from_url(redis_url, "imports")) as store:
        live(store)  # its code declares the split, and it does not follow
    known = imported(("rollback", "checkout", "--url", redis_url, "--namespace", "imports", "--wait", "0s"), 6)
    for found in (unknown, known):
        assert not found & {"pydantic", "rich", "opentelemetry.context", "graysplit.codec"}


def imported(words: tuple[str, ...], code: int = 0) -> set[str]:
    """Return the modules that a command imports, which ends with the code expected."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "graysplit.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran
    return modules(ran.stderr)


def modules(importtime: str) -> set[str]:
    """Read what `-X importtime` printed."""
    return {
        found[1] for line in importtime.splitlines() if (found := re.fullmatch(r"import time:.*\| +([\w.]+)", line))
    }


def test_without_click_the_extra_is_named() -> None:
    """The command says what to install."""
    program = "import sys; sys.modules['click'] = None; from graysplit.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert 'pip install "graysplit[cli]"' in ran.stderr
