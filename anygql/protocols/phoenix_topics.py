"""Who gets the results of a Phoenix topic, while the server sends them early or several times.

Absinthe gives each subscription an id, which is the topic of its results. Two things about topics
surprise:

- Results go straight to the socket, and the reply with the id goes by way of the channel. So a
  result may come before anybody knows whom its topic belongs to.
- Where the server's schema has a ``context_id``, equal subscriptions get the same id. Then each
  result comes once for each of them, and one ``unsubscribe`` ends them all (Phoenix.PubSub).
"""

from __future__ import annotations

__all__ = ["MAX_KEPT", "Topics"]

#: Results that are kept at once for subscriptions that have no reply yet.
MAX_KEPT = 1024


class _Topic:
    """One topic: the operations that it belongs to, and the results whose copies may come."""

    __slots__ = ("consumers", "copies", "held", "kept", "registrations")

    def __init__(self) -> None:
        self.consumers: list[str] = []
        #: How many subscriptions the server has under this id.
        self.registrations = 0
        #: How many copies of a result are still to come, which has been given out.
        self.copies: dict[bytes, int] = {}
        #: The results that came while a reply was awaited, which may be for that operation, too.
        self.kept: list[bytes] = []
        #: More copies of a result than there are registrations: of another one, or another result.
        self.held: list[bytes] = []


class Topics:
    """The topics of one connection. Results are their JSON text here."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        #: The subscriptions whose reply is awaited.
        self._awaited: set[str] = set()
        #: By topics that are to be unsubscribed from: the replies that must come before.
        self._leaving: dict[str, set[str]] = {}
        self._kept = 0

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def kept(self) -> int:
        """How many results are kept for subscriptions that have no reply yet."""
        return self._kept

    def await_reply(self, ref: str) -> None:
        """Note that a subscription is on its way: from now on, its results may come."""
        self._awaited.add(ref)

    def take(self, topic: str, result: bytes) -> list[str]:
        """Return the operations that a result is for, now."""
        found = self._topics.get(topic)
        if found is None:
            if self._awaited and self._kept < MAX_KEPT:
                found = self._topics[topic] = _Topic()
            else:
                return []
        elif len(found.consumers) == 1 and found.registrations == 1 and not self._awaited:
            return found.consumers
        return self._take(found, result)

    def _take(self, topic: _Topic, result: bytes) -> list[str]:
        may_keep = bool(self._awaited) and self._kept < MAX_KEPT
        if not topic.registrations:
            if may_keep:
                self._keep(topic.kept, result)
            return []
        left = topic.copies.get(result, 0)
        if left:
            if left == 1:
                del topic.copies[result]
            else:
                topic.copies[result] = left - 1
            return []
        if may_keep and (topic.held or result in topic.kept):
            self._keep(topic.held, result)
            return []
        if topic.registrations > 1:
            self._expect(topic, result, topic.registrations - 1)
        if may_keep:
            self._keep(topic.kept, result)
        return topic.consumers

    @staticmethod
    def _expect(topic: _Topic, result: bytes, copies: int) -> None:
        topic.copies[result] = copies
        if len(topic.copies) > MAX_KEPT:
            del topic.copies[next(iter(topic.copies))]

    def _keep(self, results: list[bytes], result: bytes) -> None:
        results.append(result)
        self._kept += 1

    def add(self, id: str, topic: str) -> list[bytes]:
        """Let an operation have the results of a topic; return those that came before.

        Call it before the reply is ``settle``d.
        """
        found = self._topics.setdefault(topic, _Topic())
        self._leaving.pop(topic, None)
        found.registrations += 1
        found.consumers.append(id)
        if found.registrations > 1:
            # The second copies were for this one, which gets each result once.
            for result in found.kept:
                if result in found.held:
                    found.held.remove(result)
                    self._kept -= 1
                else:
                    self._expect(found, result, found.copies.get(result, 0) + 1)
            return list(found.kept)
        early, found.kept = found.kept, []
        self._kept -= len(early)
        return [result for result in early if self._take(found, result)]

    def settle(self, ref: str) -> tuple[list[tuple[list[str], bytes]], list[str]]:
        """Note that a reply has come, or will not.

        Returns the results that no longer have to wait, each with the operations that it is for;
        and the topics to unsubscribe from now.
        """
        self._awaited.discard(ref)
        over: list[str] = []
        for topic, awaited in list(self._leaving.items()):
            awaited.discard(ref)
            if not awaited:
                del self._leaving[topic]
                del self._topics[topic]
                over.append(topic)
        if self._awaited or not self._kept:
            return [], over
        self._kept = 0
        results: list[tuple[list[str], bytes]] = []
        for topic, found in list(self._topics.items()):
            held, found.kept, found.held = found.held, [], []
            results += [(to, result) for result in held if (to := self._take(found, result))]
            if not found.registrations:
                del self._topics[topic]
        return results, over

    def leave(self, id: str, topic: str, ref: str = "") -> bool:
        """Let an operation have no more results of a topic; return whether to unsubscribe from it.

        The last operation to leave does. But another may be on its way that gets the same topic,
        and would be unsubscribed, too: then ``settle`` returns the topic later. ``ref`` is that of
        a reply which has just come, and is not settled yet.
        """
        found = self._topics[topic]
        found.consumers = [each for each in found.consumers if each != id]
        if found.consumers:
            return False
        if others := self._awaited - {ref}:
            self._leaving[topic] = others
            return False
        del self._topics[topic]
        return True
