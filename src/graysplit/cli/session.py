"""One run of the command line: its options, its control, and what it has written so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from graysplit.environment import setting
from graysplit.errors import ConfigurationError

if TYPE_CHECKING:
    from graysplit.control import Control, Result
    from graysplit.control.control import Question
    from graysplit.stores.port import Store


class Session:
    """What the commands of one run share."""

    def __init__(self) -> None:
        """Begin with the environment's answers."""
        self.url = setting(None, "GRAYSPLIT_URL", "")
        self.namespace = setting(None, "GRAYSPLIT_NAMESPACE", "default")
        self.json = False
        self.yes = False
        self.unstop = False  # whether it was agreed beforehand to clear a stop
        self.replace = False  # whether it was agreed beforehand to end a plan that is paused, or somebody else's
        self.changing = False  # this verb changes something: it begins with where
        self.wait_s: float | None = 5.0  # None: do not wait for receipts
        self.written: Result | None = None  # the last change that stands, for whoever is interrupted
        self.said = ""  # what an interrupted run says of its changes, where it made more than one
        self.typed_at: Callable[[str], str] | None = None  # who is asked at a prompt; None: standard input
        self.documents: list[dict[str, object]] = []  # what several rollbacks have to say in JSON
        self._control: Control | None = None

    @property
    def control(self) -> Control:
        """The control of the store that the options name, made when first needed."""
        if self._control is None:
            if not self.url:
                raise ConfigurationError(
                    "no store given. Set GRAYSPLIT_URL, or add --url, as in: "
                    "graysplit list --url redis://localhost:6379"
                )
            from graysplit.control import Control

            self._control = Control(self.url, namespace=self.namespace, confirm=self._confirm)
            if self.changing:
                from graysplit.cli.output import tell

                tell(self.place)
        return self._control

    @property
    def store(self) -> Store:
        """The store that the control works on."""
        from graysplit.control.operator import operator_of

        return operator_of(self.control).store

    @property
    def place(self) -> str:
        """The namespace and the server's address, for people: `namespace default on db:6379/0`."""
        from graysplit.stores.url import place_of

        name = self.store.name.removesuffix(f" namespace {self.namespace}")
        return f"namespace {self.namespace} on {place_of(name)}"

    @property
    def options(self) -> str:
        """What the next command must name so that it goes to the same namespace; the address may hold a password."""
        own = setting(None, "GRAYSPLIT_NAMESPACE", "default")
        return "" if self.namespace == own else f" --namespace {self.namespace}"

    @property
    def attempted(self) -> str | None:
        """The id of a change that was handed to the store, whether or not it answered."""
        from graysplit.control.operator import operator_of

        return operator_of(self._control).attempted if self._control else None

    def close(self) -> None:
        """Let go of the store."""
        if self._control is not None:
            self._control.close()

    def _confirm(self, question: Question) -> None:
        from graysplit.control.stops import without_plans, without_stops

        stops: Mapping[str, str] = {} if self.unstop else question.stops
        ask = None if self.yes else without_stops(without_plans(question.ask, question.plans), question.stops)
        plans: Mapping[str, str] = {} if self.replace else question.plans
        if stops or plans or ask is not None:
            from graysplit.cli.prompt import agree

            agree(question.target, ask, stops, plans, self.typed_at)
