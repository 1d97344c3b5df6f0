"""The tree of subscriptions: who wants this topic.  Pure.

Operations wanted: add and remove one (filter, item) pair; all items whose filter matches a topic;
all whose filter might share a topic with another filter.  Adding a pair twice is adding it once.
An item that is held under several filters comes once for each filter that matches, so an item
should be a subscription, not a session.

Shape: one node for each level of a filter.  A node has its literal children by name, one special
slot for `+` (a node), one for `#` (items, since nothing follows it), and the items whose filter
ends here.  `a.#` matches `a`, so the items in a node's `#` slot belong to its own level too.

Costs promised, with L levels (16 at most) and n pairs held:
* add, remove: L dictionary steps, whatever n is.  Removal prunes every node it leaves empty, so
  the tree holds nothing for those who have gone.
* match: at most two nodes for each node of the level above (the literal one and `+`), so what is
  walked depends on how many different filters match, not on n.  Somebody who may subscribe to
  every mixture of one long topic's levels and `+` can make it walk 2^L nodes; the bound on
  subscriptions of one client is what keeps that small.
* memory: some 430 bytes for a filter that shares all levels but its last with others.
* near: as match, and every child where the other filter has a wildcard.

Refused: a list of filters to scan (n steps for each topic), one dictionary by whole filter (finds
no wildcards), one compiled regular expression of all filters (a change compiles it again).  No
cache in here: the router keeps a route for each session and topic and knows when to drop it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from daemoneye.bus.topics import ONE, RESERVED, REST, TopicFilter

Item = TypeVar("Item", bound=Hashable)


class _Node(Generic[Item]):
    """One level; a slot that holds nothing is None, or an empty dictionary for the children."""

    __slots__ = ("children", "here", "one", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Item]] = {}
        self.one: _Node[Item] | None = None
        # Dictionaries without values, as sets that remember the order things came in.
        self.here: dict[Item, None] | None = None
        self.rest: dict[Item, None] | None = None

    def child(self, level: str) -> _Node[Item] | None:
        return self.one if level == ONE else self.children.get(level)

    def grow(self, level: str) -> _Node[Item]:
        """The child for this level, made when it is missing."""
        found = self.child(level)
        if found is None:
            found = _Node()
            if level == ONE:
                self.one = found
            else:
                self.children[level] = found
        return found

    def cut(self, level: str) -> None:
        if level == ONE:
            self.one = None
        else:
            del self.children[level]

    def is_empty(self) -> bool:
        return not (self.children or self.one or self.here or self.rest)


class SubscriptionTree(Generic[Item]):
    """Items under topic filters, found by topic."""

    __slots__ = ("_root", "_size")

    def __init__(self) -> None:
        self._root: _Node[Item] = _Node()
        self._size = 0

    def __len__(self) -> int:
        """How many pairs of a filter and an item are held."""
        return self._size

    def add(self, topic_filter: TopicFilter, item: Item) -> bool:
        """Hold `item` under the filter; False when it was there already."""
        *path, last = topic_filter.levels
        node = self._root
        for level in path:
            node = node.grow(level)
        if last == REST:
            items = node.rest = {} if node.rest is None else node.rest
        else:
            node = node.grow(last)
            items = node.here = {} if node.here is None else node.here
        if item in items:
            return False
        items[item] = None
        self._size += 1
        return True

    def remove(self, topic_filter: TopicFilter, item: Item) -> bool:
        """Let go of the pair and of every node left empty; False when it was not there."""
        path = self._path(topic_filter)
        if path is None:
            return False
        node = path[-1]
        to_rest = topic_filter.levels[-1] == REST
        items = node.rest if to_rest else node.here
        if items is None or item not in items:
            return False
        del items[item]
        self._size -= 1
        if not items:
            if to_rest:
                node.rest = None
            else:
                node.here = None
            self._prune(path, topic_filter.levels)
        return True

    def match(self, levels: tuple[str, ...]) -> list[Item]:
        """All items whose filter matches the topic of these levels (from `check_topic`)."""
        found: list[Item] = []
        first = levels[0]
        if first[0] == RESERVED:
            # A wildcard in the first place does not reach a reserved topic.
            child = self._root.children.get(first)
            nodes = [child] if child is not None else []
            levels = levels[1:]
        else:
            nodes = [self._root]
        for level in levels:
            deeper: list[_Node[Item]] = []
            for node in nodes:
                if node.rest is not None:
                    found += node.rest
                child = node.children.get(level)
                if child is not None:
                    deeper.append(child)
                if node.one is not None:
                    deeper.append(node.one)
            if not deeper:
                return found
            nodes = deeper
        for node in nodes:
            if node.here is not None:
                found += node.here
            if node.rest is not None:
                found += node.rest
        return found

    def near(self, asked: TopicFilter) -> list[Item]:
        """Every item whose filter shares a topic with `asked`, and few others.

        Limits on length and the rule for reserved topics are not looked at: `intersects` says for
        each whether it really does.
        """
        found: list[Item] = []
        nodes = [self._root]
        for level in asked.head:
            deeper: list[_Node[Item]] = []
            for node in nodes:
                found += node.rest or ()
                if level == ONE:
                    deeper += node.children.values()
                elif level in node.children:
                    deeper.append(node.children[level])
                if node.one is not None:
                    deeper.append(node.one)
            nodes = deeper
        while nodes:
            node = nodes.pop()
            found += node.here or ()
            found += node.rest or ()
            if asked.open:
                nodes += node.children.values()
                if node.one is not None:
                    nodes.append(node.one)
        return found

    def _path(self, topic_filter: TopicFilter) -> list[_Node[Item]] | None:
        """The nodes from the root to the one that holds this filter's items."""
        path = [self._root]
        for level in topic_filter.levels:
            if level == REST:
                break
            child = path[-1].child(level)
            if child is None:
                return None
            path.append(child)
        return path

    def _prune(self, path: list[_Node[Item]], levels: tuple[str, ...]) -> None:
        """Cut empty nodes from the end of the path upwards; the root stays."""
        for depth in range(len(path) - 1, 0, -1):
            if not path[depth].is_empty():
                return
            path[depth - 1].cut(levels[depth - 1])
