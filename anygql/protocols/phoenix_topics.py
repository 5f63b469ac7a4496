"""Who gets the results of a Phoenix topic, while the server sends them early or several times.

Absinthe gives each subscription an id, which is the topic of its results. Two things about topics
surprise:

- Results go straight to the socket, and the reply with the id goes by way of the channel. So a
  result may come before anybody knows whom its topic belongs to.
- Where the server's schema has a ``context_id``, equal subscriptions get the same id. Then each
  result comes once for each of them, and one ``unsubscribe`` ends them all (Phoenix.PubSub).
"""

from __future__ import annotations

from collections import Counter

__all__ = ["MAX_KEPT", "Topics"]

#: Results that are kept at once for subscriptions that have no reply yet.
MAX_KEPT = 1024


class _Topic:
    """One topic: the operations that it belongs to, and the results whose copies may come."""

    __slots__ = ("consumers", "copies", "document", "held", "kept", "registrations")

    def __init__(self, document: bytes | None = None) -> None:
        #: The document and variables that it is for; ``None`` while no reply has named the topic.
        self.document = document
        self.consumers: list[str] = []
        #: How many subscriptions the server has under this id.
        self.registrations = 0
        #: How many copies of a result are still to come, which has been given out.
        self.copies: dict[bytes, int] = {}
        #: The results that came while a reply was awaited, which may be for that operation, too.
        self.kept: list[bytes] = []
        #: What may be copies of those, for that operation, or else are other results.
        self.held: list[bytes] = []


class Topics:
    """The topics of one connection. Results are their JSON text here."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        #: The subscriptions whose reply is awaited: their documents by their refs.
        self._awaited: dict[str, bytes] = {}
        self._documents: Counter[bytes] = Counter()
        #: The topics that nobody listens to any more, while they can't be unsubscribed from.
        self._leaving: set[str] = set()
        self._kept = 0

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def kept(self) -> int:
        """How many results are kept for subscriptions that have no reply yet."""
        return self._kept

    def await_reply(self, ref: str, document: bytes) -> None:
        """Note that a subscription is on its way: from now on, its results may come."""
        self._awaited[ref] = document
        self._documents[document] += 1

    def only(self, name: str) -> str | None:
        """Return the operation that results of a topic are for, if there can be no other."""
        topic = self._topics.get(name)
        if topic is None or topic.registrations != 1 or topic.document in self._documents:
            return None
        return topic.consumers[0] if topic.consumers else None

    def take(self, name: str, result: bytes) -> list[str]:
        """Return the operations that a result is for, now."""
        topic = self._topics.get(name)
        if topic is None or topic.document is None:
            if self._awaited and self._kept < MAX_KEPT:
                if topic is None:
                    topic = self._topics[name] = _Topic()
                self._keep(topic.kept, result)
            return []
        if topic.registrations == 1 and topic.document not in self._documents:
            return topic.consumers
        return self._take(topic, topic.document, result)

    def _take(self, topic: _Topic, document: bytes, result: bytes) -> list[str]:
        left = topic.copies.get(result, 0)
        if left:
            if left == 1:
                del topic.copies[result]
            else:
                topic.copies[result] = left - 1
            return []
        if document in self._documents and self._kept < MAX_KEPT:
            if topic.held or result in topic.kept:
                self._keep(topic.held, result)
                return []
            self._keep(topic.kept, result)
        self._expect(topic, result, topic.registrations - 1)
        return topic.consumers

    @staticmethod
    def _expect(topic: _Topic, result: bytes, copies: int) -> None:
        if copies:
            topic.copies[result] = copies
            if len(topic.copies) > MAX_KEPT:
                del topic.copies[next(iter(topic.copies))]

    def _keep(self, results: list[bytes], result: bytes) -> None:
        results.append(result)
        self._kept += 1

    def add(self, id: str, name: str, ref: str) -> list[bytes]:
        """Let an operation have the results of a topic; return those that came before.

        ``ref`` is that of the reply, which has not been settled.
        """
        document = self._awaited[ref]
        topic = self._topics.setdefault(name, _Topic())
        self._leaving.discard(name)
        is_new = topic.document is None
        topic.document = document
        topic.registrations += 1
        topic.consumers.append(id)
        if is_new:
            early, topic.kept = topic.kept, []
            self._kept -= len(early)
            return [result for result in early if self._take(topic, document, result)]
        # The second copies were for this one, which gets each result once.
        for result in topic.kept:
            if result in topic.held:
                topic.held.remove(result)
                self._kept -= 1
            else:
                self._expect(topic, result, topic.copies.get(result, 0) + 1)
        return list(topic.kept)

    def settle(
        self, ref: str, named: str | None
    ) -> tuple[list[tuple[list[str], bytes]], list[str]]:
        """Note that a reply has come, or will not.

        Args:
            ref: The ref of the message.
            named: The topic that the reply has named, if any.

        Returns:
            The results that no longer have to wait, each with the operations that it is for; and
            the topics to unsubscribe from now.
        """
        document = self._awaited.pop(ref)
        self._documents[document] -= 1
        is_last = not self._documents[document]
        if is_last:
            del self._documents[document]
        over = [
            name
            for name in self._leaving
            if self._topics[name].document == document and (is_last or named not in {None, name})
        ]
        for name in over:
            self._leaving.discard(name)
            self._forget(name)
        return (self._release(document) if is_last and self._kept else []), over

    def _forget(self, name: str) -> None:
        topic = self._topics.pop(name)
        self._kept -= len(topic.kept) + len(topic.held)

    def _release(self, document: bytes) -> list[tuple[list[str], bytes]]:
        """Return what was held for a document of which no reply is awaited any more."""
        results: list[tuple[list[str], bytes]] = []
        for name, topic in list(self._topics.items()):
            if topic.document == document:
                held = topic.held
                self._kept -= len(topic.kept) + len(held)
                topic.kept, topic.held = [], []
                results += [
                    (to, each) for each in held if (to := self._take(topic, document, each))
                ]
            elif topic.document is None and not self._awaited:
                self._forget(name)
        return results

    def leave(self, id: str, name: str, ref: str = "") -> bool:
        """Let an operation have no more results of a topic; return whether to unsubscribe from it.

        The last operation to leave does. But an equal one may be on its way that gets the same
        topic, and would be unsubscribed, too. Its reply says so: then ``settle`` may return the
        topic. ``ref`` is that of a reply which is not settled.
        """
        topic = self._topics[name]
        topic.consumers = [each for each in topic.consumers if each != id]
        if topic.consumers:
            return False
        awaited = self._documents[topic.document] if topic.document is not None else 0
        if awaited > (ref in self._awaited):
            self._leaving.add(name)
            return False
        self._forget(name)
        return True
