"""Notices: a webhook or a command is told what the log says, each change once across the fleet, at least once.

What is to be called is configured in the process, never in the store: a command in Redis would let whoever may write
there run programs on every host.
"""

from __future__ import annotations

from graysplit.notices.hooks import CommandHook, Webhook

__all__ = ["CommandHook", "Webhook"]
