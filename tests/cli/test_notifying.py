"""The options of `notify`: whom to tell, of what, and what cannot be told."""

from __future__ import annotations

import pytest

from graysplit.cli.plan.drive import hooks_of
from graysplit.errors import ConfigurationError


def test_options_name_whom_to_tell_and_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses and commands, all for the same causes; a command's words are taken apart as a shell would."""
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", "https://not-asked.example")
    hooks = hooks_of(["https://example.com/a"], ["page 'the team'"], "rollback, plan over")
    assert [hook.name.rpartition(" ")[0] for hook in hooks] == ["webhook example.com", "command page"]
    assert all(hook.causes == {"rollback", "plan over"} for hook in hooks)


def test_without_an_address_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command beside it is told too."""
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", "https://one.example https://two.example")
    assert len(hooks_of([], ["page"], None)) == 3
    monkeypatch.delenv("GRAYSPLIT_NOTIFY_URL")
    assert hooks_of([], [], None) == ()


@pytest.mark.parametrize(
    ("urls", "commands", "on", "said"),
    [
        ([], [], "rollback", "needs a hook"),
        ([], ["page 'the team"], None, "close its quotes"),
        ([], [""], None, "list of program"),
        (["example.com"], [], None, "not an http or https URL"),
        (["https://example.com"], [], "rolback", "Did you mean 'rollback'"),
    ],
)
def test_what_cannot_be_told_is_refused(
    urls: list[str], commands: list[str], on: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, with what to write instead."""
    monkeypatch.delenv("GRAYSPLIT_NOTIFY_URL", raising=False)
    with pytest.raises(ConfigurationError, match=said):
        hooks_of(urls, commands, on)
