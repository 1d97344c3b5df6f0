"""Who waits for whom: the order of starts, and the ranks of an orderly end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Dependencies = Mapping[str, tuple[str, ...]]
"""Whom each child waits for, by name."""


def cycles(depends_on: Dependencies) -> Iterator[tuple[str, ...]]:
    """Each cycle of a dependency graph once, as the walk round it: `("a", "b", "a")`."""
    done: set[str] = set()
    for start in depends_on:
        path: list[str] = []
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            name, left = pending.pop()
            if left:
                done.add(path.pop())
            elif name in path:
                yield (*path[path.index(name) :], name)
            elif name not in done:
                path.append(name)
                pending.append((name, True))
                pending += [(other, False) for other in depends_on.get(name, ())]


def start_order(depends_on: Dependencies) -> tuple[str, ...]:
    """Names so that each comes after those it waits for, otherwise in the order of the plan.

    The graph has no cycles: a plan that has one is refused before.
    """
    order: dict[str, None] = {}

    def place(name: str) -> None:
        if name in order:
            return
        for other in depends_on[name]:
            place(other)
        order[name] = None

    for name in depends_on:
        place(name)
    return tuple(order)


def stop_ranks(depends_on: Dependencies, last: str) -> tuple[tuple[str, ...], ...]:
    """Names in ranks, to be stopped one after another: nobody goes before those who wait for it.

    `last` is a rank of its own, the last: the broker, so that what the others say at their end
    still gets through.
    """
    rank = dict.fromkeys(depends_on, 0)
    for name in reversed(start_order(depends_on)):
        for other in depends_on[name]:
            rank[other] = max(rank[other], rank[name] + 1)
    if last in rank:
        rank[last] = 1 + max(rank.values())
    ranks: dict[int, list[str]] = {}
    for name, number in rank.items():
        ranks.setdefault(number, []).append(name)
    return tuple(tuple(ranks[number]) for number in sorted(ranks))
