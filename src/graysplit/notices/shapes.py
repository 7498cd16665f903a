"""What the webhooks of chats take: a notice as Slack and as Microsoft Teams show it, its texts as text.

Whoever may change a weight writes names, reasons and actors. So nothing of them stands where a chat looks for markup:
Slack's `plain_text`, with the three characters escaped that begin a mention or a link, and the runs of Teams' rich
text, which know no markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, object]

SLACK_TEXT: Final = 3_000  # characters of one text object, after its escapes
SLACK_URL: Final = 3_000
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class ChatText(NamedTuple):
    """What a chat is told of one change."""

    sentence: str
    beside: str  # where and when
    link: str  # "" for none
    label: str  # on the button that opens the link


def chat_text(told: Mapping[str, object]) -> ChatText:
    """Return what a chat is told of a notice's JSON."""
    link = str(told.get("link", ""))
    label = "See and approve" if link.endswith("/approve") else "Open the console"
    return ChatText(
        str(told["text"]), f"namespace {told['namespace']}, revision {told['revision']}, {told['at']}", link, label
    )


def slack(told: Mapping[str, object]) -> Json:
    """Return the message for one of Slack's incoming webhooks: a text for alerts, and blocks for the channel."""
    text = chat_text(told)
    sentence = _escaped(text.sentence, SLACK_TEXT)
    blocks: list[Json] = [
        {"type": "section", "text": _plain(sentence)},
        {"type": "context", "elements": [_plain(_escaped(text.beside, SLACK_TEXT))]},
    ]
    if text.link and len(text.link) <= SLACK_URL:
        button: Json = {"type": "button", "text": _plain(text.label), "url": text.link, "action_id": "console"}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": sentence, "mrkdwn": False, "blocks": blocks}


def teams(told: Mapping[str, object]) -> Json:
    """Return the message for a webhook of Teams' workflows: one adaptive card."""
    text = chat_text(told)
    beside: Json = {"type": "TextRun", "text": _undated(text.beside), "size": "Small", "isSubtle": True}
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": _undated(text.sentence),
        "body": [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _undated(text.sentence)}]},
            {"type": "RichTextBlock", "inlines": [beside]},
        ],
    }
    if text.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": text.label, "url": text.link}]
    attached: Json = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


# By the word that stands before the address, as in slack+https://hooks.slack.com/services/...
SHAPES: Final[Mapping[str, Callable[[Mapping[str, object]], Json]]] = {"slack": slack, "teams": teams}


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped(text: str, most: int) -> str:
    """Return a text with what Slack takes for markup escaped, and cut between two characters so that it fits."""
    escaped = [_ESCAPES.get(letter, letter) for letter in text]
    if sum(map(len, escaped)) <= most:
        return "".join(escaped)
    room = most - len("...")
    for number, part in enumerate(escaped):
        room -= len(part)
        if room < 0:
            return "".join(escaped[:number]) + "..."
    return "".join(escaped)


def _undated(text: str) -> str:
    """Return a text in which a card sees no function for dates: `{{DATE(...)}}` is the one thing that it replaces."""
    return text.replace("{{", "{ {")
