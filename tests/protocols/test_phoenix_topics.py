"""Each subscription gets each of its results once, however replies and results overtake.

A model of Absinthe's server: the channel handles messages in order, and its replies come in order.
Results go straight to the socket, as many copies as there are registrations when they are made,
and may come before or after the replies. The client asks and leaves whenever it likes. Of three
documents, equal subscriptions share an id with two.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anygql import PHOENIX
from anygql.documents.request import GraphQLRequest
from anygql.json import MsgspecJSON
from anygql.protocols.events import Next, Say, Several
from tests.support.amount import examples

pytestmark = pytest.mark.sampled

DOCUMENTS = [GraphQLRequest("subscription ($d: Int) { n(d: $d) }", {"d": d}) for d in range(3)]
UNSHARED = 2
STEPS = ["ask", "ask", "handle", "handle", "publish", "publish", "reply", "data", "data", "leave"]


class World:
    """A codec, the server, and what is on its way between them."""

    def __init__(self) -> None:
        self.codec = PHOENIX.codec(MsgspecJSON())
        self.to_server: list[Any] = []
        self.replies: list[Any] = []
        self.data: list[Any] = []
        self.registered: dict[str, list[str]] = {}
        self.numbers = iter(range(100_000))
        self.ids = iter(map(str, range(100_000)))
        self.ref_to_id: dict[str, str] = {}
        self.running: list[str] = []
        self.got: dict[str, list[int]] = {}
        self.due: dict[str, set[int]] = {}
        self.codec.connection_init(None)
        self.hear(["1", "1", "__absinthe__:control", "phx_reply", {"response": {}, "status": "ok"}])

    def hear(self, frame: Any) -> None:
        self.handle_event(self.codec.receive(json.dumps(frame)))

    def handle_event(self, event: Any) -> None:
        if isinstance(event, Several):
            for each in event.events:
                self.handle_event(each)
        elif isinstance(event, Say):
            self.to_server.append(json.loads(event.message))
        elif isinstance(event, Next) and event.id in self.running:
            self.got[event.id].append(event.payload.data["n"])

    def ask(self, which: int) -> None:
        id = next(self.ids)
        message = json.loads(self.codec.subscribe(id, DOCUMENTS[which % 3]))
        self.ref_to_id[message[1]] = id
        self.running.append(id)
        self.got[id], self.due[id] = [], set()
        self.to_server.append(message)

    def leave(self, which: int) -> None:
        if self.running:
            id = self.running.pop(which % len(self.running))
            message = self.codec.complete(id)
            if message is not None:
                self.to_server.append(json.loads(message))

    def handle(self, _: int) -> None:
        """Let the channel handle its next message."""
        if not self.to_server:
            return
        join_ref, ref, topic, event, payload = self.to_server.pop(0)
        if event == "doc":
            document = payload["variables"]["d"]
            name = f"unique{ref}" if document == UNSHARED else f"shared{document}"
            self.registered.setdefault(name, []).append(self.ref_to_id[ref])
            response = {"subscriptionId": name}
        else:
            self.registered.pop(payload["subscriptionId"], None)
            response = payload
        answer = {"response": response, "status": "ok"}
        self.replies.append([join_ref, ref, topic, "phx_reply", answer])

    def publish(self, which: int) -> None:
        if not self.registered:
            return
        name = sorted(self.registered)[which % len(self.registered)]
        ids = self.registered[name]
        n = next(self.numbers)
        payload = {"result": {"data": {"n": n}}, "subscriptionId": name}
        self.data += [[None, None, name, "subscription:data", payload]] * len(ids)
        for id in ids:
            self.due[id].add(n)

    def reply(self, _: int) -> None:
        if self.replies:
            self.hear(self.replies.pop(0))

    def hand_over(self, which: int) -> None:
        if self.data:
            self.hear(self.data.pop(which % min(3, len(self.data))))

    def drain(self) -> None:
        while self.to_server or self.replies or self.data:
            self.handle(0)
            self.reply(0)
            self.hand_over(0)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), max_size=60),
)
def test_each_gets_each_once(steps: list[tuple[str, int]]) -> None:
    world = World()
    for step, which in steps:
        getattr(world, "hand_over" if step == "data" else step)(which)
    world.drain()
    for id in world.running:
        got = world.got[id]
        assert len(got) == len(set(got)), (id, got)
        assert world.due[id] <= set(got), (id, got, world.due[id])
    registered = {id for ids in world.registered.values() for id in ids}
    assert set(world.running) <= registered  # nobody else has unsubscribed them
    for name, ids in world.registered.items():
        assert set(ids) & set(world.running), f"nobody wants {name}, and it is left running"
    assert world.codec._topics.kept == 0  # type: ignore[attr-defined]
