"""What chats are sent: by their published formats and limits, and never markup of somebody else's.

Limits: Slack's text object (1 to 3,000 characters), button (text 75, url 3,000), blocks of a message (50); Teams'
message of a workflow (about 28 kB).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from graysplit import ConfigurationError, Control, Router, Webhook
from graysplit.core.limits import TYPED
from graysplit.notices.payload import notice_of
from graysplit.notices.shapes import SHAPES, SLACK_TEXT
from graysplit.stores.memory import MemoryStore
from tests.notices.recorder import Recorder
from tests.notices.test_payload import ENTRY
from tests.support import eventually

CONSOLE: Final = "https://ops.example/console"
TEAMS_BYTES: Final = 28_000


def _exact(required: dict[str, object], **optional: object) -> dict[str, object]:
    properties = {**required, **optional}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _plain(most: int) -> dict[str, object]:
    text = {"type": "string", "minLength": 1, "maxLength": most}
    return _exact({"type": {"const": "plain_text"}, "text": text}, emoji={"type": "boolean"})


_BUTTON = _exact(
    {"type": {"const": "button"}, "text": _plain(75), "action_id": {"type": "string", "maxLength": 255}},
    url={"type": "string", "maxLength": 3_000},
)
_BLOCKS: Final = [
    _exact({"type": {"const": "section"}, "text": _plain(3_000)}),
    _exact({"type": {"const": "context"}, "elements": {"type": "array", "items": _plain(3_000), "maxItems": 10}}),
    _exact({"type": {"const": "actions"}, "elements": {"type": "array", "items": _BUTTON, "maxItems": 25}}),
]
_SLACK: Final = _exact(
    {
        "text": {"type": "string", "minLength": 1, "maxLength": 4_000},
        "mrkdwn": {"const": False},
        "blocks": {"type": "array", "items": {"oneOf": _BLOCKS}, "maxItems": 50},
    }
)
_RUN = _exact(
    {"type": {"const": "TextRun"}, "text": {"type": "string"}},
    size={"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
    isSubtle={"type": "boolean"},
)
_OPEN = _exact(
    {"type": {"const": "Action.OpenUrl"}, "url": {"type": "string", "format": "uri"}}, title={"type": "string"}
)
_CARD = _exact(
    {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"enum": ["1.2", "1.3", "1.4", "1.5"]},  # rich text came with 1.2; Teams shows up to 1.5
        "body": {
            "type": "array",
            "items": _exact({"type": {"const": "RichTextBlock"}, "inlines": {"type": "array", "items": _RUN}}),
        },
    },
    fallbackText={"type": "string"},
    actions={"type": "array", "items": _OPEN},
)
_TEAMS: Final = _exact(
    {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _exact(
                {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": _CARD,
                }
            ),
        },
    }
)
SCHEMAS: Final = {"slack": _SLACK, "teams": _TEAMS}

MARKUP: Final = (
    "<!channel> *b* _i_ ~s~ `c` [t](javascript:x) **B** &lt; <at>ada</at> :fire: {{DATE(2017-02-14T06:00:00Z)}}"
)


def shaped(chat: str, console: str = CONSOLE, **changes: Any) -> dict[str, Any]:  # Any: fields of an entry
    """Return what a chat is sent of an entry, held against the chat's schema."""
    message = SHAPES[chat](notice_of(ENTRY._replace(**changes), "shop", console).told)
    body = json.loads(json.dumps(message))
    Draft202012Validator(SCHEMAS[chat]).validate(body)
    assert len(json.dumps(body, ensure_ascii=False).encode()) < TEAMS_BYTES
    return dict(body)


def texts(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Walk through all texts of a message, each with its key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def test_slack_is_told_in_one_sentence_with_a_button() -> None:
    """The text for alerts, the same as a block, where and when, and the way to the split."""
    sentence = "rollback checkout by ada@laptop: checkout/new 20% -&gt; 0%, checkout is stopped (500s)"
    message = shaped("slack")
    assert message["text"] == message["blocks"][0]["text"]["text"] == sentence
    assert message["blocks"][1]["elements"][0]["text"].startswith("namespace shop, revision 7, 2023-11-14T22:13:20")
    (button,) = message["blocks"][2]["elements"]
    assert (button["url"], button["text"]["text"]) == (f"{CONSOLE}/splits/checkout", "Open the console")


def test_teams_is_told_by_one_card_with_a_button() -> None:
    """The same words; the runs of rich text know no markdown."""
    card = shaped("teams")["attachments"][0]["content"]
    sentence = "rollback checkout by ada@laptop: checkout/new 20% -> 0%, checkout is stopped (500s)"
    assert card["body"][0]["inlines"][0]["text"] == card["fallbackText"] == sentence
    assert card["body"][1]["inlines"][0]["text"].startswith("namespace shop, revision 7, 2023-11-14T22:13:20")
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open the console", "url": f"{CONSOLE}/splits/checkout"}
    ]


@pytest.mark.parametrize("chat", SHAPES)
def test_without_a_console_there_is_no_button(chat: str) -> None:
    """And the rest is the same."""
    message = json.dumps(shaped(chat, ""))
    assert "url" not in json.dumps(sorted(key for key, _ in texts(json.loads(message))))
    assert "actions" not in message


@pytest.mark.parametrize("chat", SHAPES)
def test_a_plan_that_waits_for_a_yes_is_opened_on_the_page_that_asks(chat: str) -> None:
    """The button opens a page and says so; it approves nothing."""
    message = shaped(chat, cause="waiting", why="1 h for approval of step 2 (50 %)")
    assert f"{CONSOLE}/splits/checkout/approve" in dict(texts(message)).values()
    assert "See and approve" in {text for _, text in texts(message)}


@pytest.mark.parametrize("where", ["split", "actor", "why", "cause"])
def test_markup_is_text_in_slack(where: str) -> None:
    """No text object reads markup, and what begins a mention is escaped everywhere, in the text for alerts too."""
    message = shaped("slack", **{where: MARKUP})
    for key, text in texts(message):
        assert key == "url" or not {"<", ">"} & {*text}, text
    assert MARKUP in message["text"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert '"mrkdwn"' not in json.dumps(message["blocks"])


@pytest.mark.parametrize("where", ["split", "actor", "why", "cause"])
def test_markup_is_text_in_teams(where: str) -> None:
    """Each text stands in a run of rich text, letter by letter but for the functions that cards replace."""
    message = shaped("teams", **{where: MARKUP})
    assert MARKUP.replace("{{", "{ {") in message["attachments"][0]["content"]["body"][0]["inlines"][0]["text"]
    assert "{{" not in json.dumps(message)
    assert "TextBlock" not in {text for key, text in texts(message) if key == "type"}


@pytest.mark.parametrize("chat", SHAPES)
@pytest.mark.parametrize("letter", ["x", "&", "結", "\U0001f525", "\x1b", "\ud800"])
def test_the_longest_texts_fit(chat: str, letter: str) -> None:
    """A reason and an actor as long as they may be, and names as long as anybody may write past graysplit."""
    why, actor = letter * TYPED["reason"], letter * TYPED["actor"]
    shaped(
        chat,
        why=why,
        actor=actor,
        split=letter * 5_000,
        after=dict.fromkeys((f"weights s{n}/n" for n in range(900)), "0"),
    )


def test_a_text_is_cut_between_two_characters() -> None:
    """An escape that was cut in its middle would be shown as what it is not."""
    for more in range(6):
        text = shaped("slack", why="", actor="x" * more + "&" * 1_900)["text"]
        assert len(text) <= SLACK_TEXT
        assert text.endswith("&amp;..."), text[-20:]


# --- by an address ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", SHAPES)
def test_the_word_before_the_address_chooses_the_shape(chat: str, recorder: Recorder) -> None:
    """What arrives is the chat's message, by the same request: content type and the change's id in the header."""
    store = MemoryStore(f"shape-{chat}")
    hook = Webhook(f"{chat}+{recorder.url}/services/T0/B1", on="create", console=CONSOLE)
    with Router(store, notify=hook):
        eventually(lambda: len(store.read_cursors().texts) == 1)
        Control(store).create("checkout", why="\U0001f525" * TYPED["reason"])
        body = eventually(lambda: recorder.bodies and recorder.bodies[0])
    Draft202012Validator(SCHEMAS[chat]).validate(body)
    assert recorder.paths == ["/services/T0/B1"]
    assert recorder.headers[0]["Content-Type"] == "application/json"
    assert int(recorder.headers[0]["Content-Length"]) < TEAMS_BYTES
    assert recorder.headers[0]["X-Graysplit-Change"] == Control(store).history()[0].id


def test_a_hook_with_another_shape_is_the_same_hook() -> None:
    """How far it was told, and what it is owed, stays: the same address is called."""
    plain, slack = Webhook("https://h.example/x"), Webhook("slack+https://h.example/x")
    assert (plain.name, plain.address) == (slack.name, slack.address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("discord+https://h.example", "use slack\\+https:// or teams\\+https://"),
        ("Slack+https://h.example", "use slack\\+https://"),
        ("slack+ftp://h.example", "not an http or https URL"),
        ("slack+", "not an http or https URL"),
        ("slack+https://a.example,teams+https://b.example", "separated by spaces"),
    ],
)
def test_a_shape_that_nobody_knows_is_refused(url: str, said: str) -> None:
    """With those there are."""
    with pytest.raises(ConfigurationError, match=said):
        Webhook(url)


def test_a_plus_in_an_address_is_no_shape() -> None:
    """Nor in a password."""
    assert Webhook("https://h.example/a+b?c=d+e").address == "https://h.example/..."
    assert Webhook("https://u:p+q@h.example/").address == "https://h.example"
