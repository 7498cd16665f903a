"""Every example runs as a user would run it, and what it prints is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# By program: what it prints, line by line; each is a pattern found in this order.
SHOWN = {
    "ab_test": [
        r"^photo: (19|20|21) % of 10000 visitors$",
        r"^plain: (69|70|71) % of 10000 visitors$",
        r"^video: (9|10|11) % of 10000 visitors$",
        r"^each sees the same again: True$",
        r"^photo at 30 %: the only way that anybody went is plain to photo$",
    ],
    "aiohttp_requests": [
        r"^user-1: old price \(price=old; vary: x-user\)$",
        r"^user-8: new price \(price=new; vary: x-user\)$",
    ],
    "app_factory": [
        r"^before it is made: asleep$",
        r"^after: live; to ann@example\.org by the new relay$",
        r"^a second time: this router has started already: call configure\(\) before",
    ],
    "asgi_requests": [
        r"^user-1: old price \(price=old; vary: x-user\)$",
        r"^user-8: new price \(price=new; vary: x-user\)$",
    ],
    "async_handlers": [
        r"^the routed function is a coroutine function: True$",
        r"^user-3 over HTTP: Good day$",
        r"^user-1 over HTTP: Hi!$",
        r"^user-1 as a task: Hi!$",
    ],
    "attempt_block": [
        r"^user-1 sees the new banner$",
        r"^user-7's error passes through untouched: no banner in this size$",
        r"^rolled back: 1/1 confirmed, 1 still running$",
        r"^user-7 sees the old banner$",
    ],
    "blue_green": [
        r"^at first users get old$",
        r"^refused: 'new' is not ready in 2 of 2 processes: a worker \(failed: FileNotFoundError\)",
        r"^so users still get old$",
        r"^switch 0 -> 100: 2/2 confirmed$",
        r"^after it users get new$",
        r"^switch 100 -> 0: 2/2 confirmed$",
        r"^after it users get old$",
        r"^switch 0 -> 100: 2/2 confirmed$",
        r"^began on one side and ended on the other: 0$",
        r"^rollback 100 -> 0: 2/2 confirmed$",
        r"^after it users get old$",
        r"^hundreds of requests, 0 failed$",
    ],
    "by_tenant": [
        r"^ann of acme: new editor$",
        r"^bob of acme: new editor$",
        r"^eve of umbrella: old editor$",
        r"^colleagues who see the same editor: 1000 of 1000 pairs$",
    ],
    "django_site": [
        r"^user-1: old price on the old page$",
        r"^user-8: new price on the new page$",
    ],
    "django_view": [
        r"^old price for user-1 in Price$",
        r"^new price for user-8 in Price$",
        r"^what the view allows: GET, HEAD, OPTIONS$",
    ],
    "console_in_a_shop": [
        r"^a stranger: look 401, roll back 401, raise 401$",
        r"^carla: look 401, roll back 401, raise 401$",
        r"^sam: look 200, roll back 403, raise 403$",
        r"^nina: look 200, roll back 200, raise 403$",
        r"^ruth: look 200, roll back 200, raise 200$",
        r"^a rollback by a form of another site: 403$",
        r"^in force: 0 %$",
        r"^rollback by ruth: tried by ruth$",
        r"^rollback by nina: tried by nina$",
        r"^set by deploy$",
    ],
    "dramatiq_tasks": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "fallback": [
        r"^user-1 gets \['pot', 'tin', 'for user-1'\] from the candidate$",
        r"^user-7 gets \['tea', 'mug', 'for user-7'\] from the baseline",
        r"reaches the caller: user-1's order reached nobody$",
    ],
    "fastapi_requests": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "flask_requests": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "forked_workers": [
        r"^the parent is live before it forks: old$",
        r"^set: 4/4 confirmed; children: new, new, new$",
        r"^rollback: 4/4 confirmed; children: old, old, old$",
    ],
    "grpc_calls": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "rq_jobs": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "taskiq_tasks": [
        r"^user-1: old price$",
        r"^user-8: new price$",
    ],
    "grayscale_story": [
        r"^ramp: 20 %; about a fifth of the users are on the new path$",
        r"^approved: 50 %; about half of the users are on the new path$",
        r"^the new path throws for some of its users$",
        r"^rollback 50 -> 0: 2/2 processes stopped sending calls to new$",
        r"^after it users get old$",
        r"^the plan: over$",
        r"^thousands of requests, 0 lost; all failures came from the new path itself$",
    ],
    "guarded_release": [
        r"^before: users get new and old; now the new path breaks$",
        r"^#+\.+ +\d+ % on new, \d+ failed$",
        r"^trip by guard: \d+ users failed on new, 0 on old, .* expected on new; evidence \S+ of 857$",
        r"^\.{20}   0 % on new$",
        r"^after it users get old$",
    ],
    "hoped_for_and_actual": [
        r"^search   new   asked     0 %  actual   0\.000 %",
        r"^search   new   asked    20 %  actual  (19\.[5-9]|20\.[0-4])",
        r"^search   new   asked   100 %  actual 100\.000 %",
        r"^ranking  old   asked    65 %  actual  (64\.[5-9]|65\.[0-4])",
    ],
    "kill_switch": [
        r"^at first: the product$",
        r"^on: the product and what others bought$",
        r"^off in 1 of 1 processes: the product$",
    ],
    "library_include": [
        r"^included, at zero: for acme by the old engine$",
        r"^at 100 %: for acme by the new engine$",
        r"^the application's process declares: pdf\.render$",
        r"^both routers give one answer: new, new$",
    ],
    "metrics": [
        r"^graysplit\.evaluations +785  graysplit\.split=checkout graysplit\.version=old graysplit\.reason=bucket$",
        r"^graysplit\.evaluations +215  graysplit\.split=checkout graysplit\.version=new graysplit\.reason=bucket$",
        r"^graysplit\.weight\.actual +20\.0  graysplit\.split=checkout graysplit\.version=new$",
        r"^graysplit\.revision +2 ",
    ],
    "notebook": [
        r"^48% of the rows go to the forest$",
        r"^model: forest \(bucket\)$",
        r"^  bucket +bucket 31514 < 50000 \(forest\)$",
    ],
    "operator_script": [
        r"^5 %: 1 of 1 processes follow$",
        r"^20 %: 1 of 1 processes follow$",
        r"^refused: 'search' may not rise: 'search' is frozen by nightly",
        r"^revision 4: freeze by nightly$",
        r"^revision 3: set by nightly$",
        r"^revision 2: set by nightly$",
    ],
    "pins_and_preview": [
        r"^at zero: +tester: old \(baseline\), big-customer: old \(denied\), others on new: 0$",
        r"^preview: +tester: new \(pin\), big-customer: old \(denied\), others on new: 0$",
        r"^at 100: +tester: new \(pin\), big-customer: old \(denied\), others on new: 1000$",
        r"^rolled back: +tester: old \(stopped\), big-customer: old \(stopped\), others on new: 0$",
    ],
    "plain_redis_cli": [
        r"^HSET .*:weights pricing/new 100\n  new after \d+\.\d ms$",
        r"^HDEL .*:weights pricing/new\n  old after \d+\.\d ms$",
        r"^HSETNX .*:stops pricing by-hand\n  old after \d+\.\d ms$",
        r"^revision 5: edited outside: stops pricing None -> by-hand$",
        r"^revision 4: edited outside: weights pricing/new None -> 100$",
        r"^revision 3: edited outside: weights pricing/new 100 -> None$",
        r"^revision 2: edited outside: weights pricing/new 0 -> 100$",
    ],
    "queue_workers": [
        r"^at first:      \{'old': 400\}$",
        r"^at 30 %:       both paths, some a third of it new$",
        r"^the backlog:   most of it still waited when the rollback was confirmed, and all went the way: old$",
    ],
    "quickstart": [
        r"^at first: 0 of 1000 users on the new path$",
        r"^at 20 %: (1[6-9]|2[0-3])\d of 1000 users on the new path$",
        r"^rolled back: 0 of 1000 users on the new path$",
    ],
    "rolling_by_instance": [
        r"^20 % of 5 hosts    on new: web-2$",
        r"^it dies            on new: nobody$",
        r"^rebalanced         on new: web-4$",
        r"^60 % of 5 hosts    on new: web-4, web-5, web-6$",
        r"^20 % again         on new: web-4$",
        r"^rolled back        on new: nobody$",
    ],
    "testing_your_code": [
        r"^test_baseline: passed$",
        r"^test_candidate: passed$",
        r"^test_both_directly: passed$",
        r"^test_only_here: passed$",
    ],
    "wsgi_requests": [
        r"^user-1: old old old $",
        r"^user-8: new new new $",
    ],
}

# By program: the warnings that it gives, as Python prints them where a program configures no logging.
WARNED = {
    "guarded_release": r"^rolled back 'checkout/new': .*\n\Z",
    "testing_your_code": r"^no store: set GRAYSPLIT_URL\. Every answer is the baseline\n\Z",
}


def test_every_example_is_run() -> None:
    """No program under examples/ is without its facts here."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_example(name: str) -> None:
    """An example ends by itself with exit code 0, warns of nothing unforeseen and shows what it says."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GRAYSPLIT_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        capture_output=True,
        text=True,
        timeout=120,  # RQ's worker waits up to a minute where its listener missed that it ends
        check=False,
        env=clean,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(WARNED.get(name, r"\Z"), done.stderr), done.stderr
    at = 0
    for pattern in SHOWN[name]:
        found = re.compile(pattern, re.MULTILINE).search(done.stdout, at)
        assert found, f"after {at} characters there is no {pattern} in:\n{done.stdout}"
        at = found.end()
