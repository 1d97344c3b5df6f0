"""Who wants a message and may have it, as anybody can check by eye."""

from __future__ import annotations

from daemoneye.bus.access import AccessRule
from tests.bus.model.seats import Message
from tests.bus.model.world import World


def matches(text: str, topic: str) -> bool:
    """A filter and a topic, level by level."""
    wanted, levels = text.split("."), topic.split(".")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def may_read(rules: tuple[AccessRule, ...], name: str, topic: str) -> bool:
    """An agent reads everything but what is denied to it."""
    return not _is_denied(rules, name, "read-only", topic)


def may_publish(rules: tuple[AccessRule, ...], name: str, topic: str) -> bool:
    """And it publishes everywhere but where that is."""
    return not _is_denied(rules, name, "write-only", topic)


def _is_denied(rules: tuple[AccessRule, ...], name: str, access: str, topic: str) -> bool:
    return any(
        (rule.who, rule.access) == (name, access) and matches(rule.filter, topic) for rule in rules
    )


def wanting(world: World, message: Message) -> list[tuple[str, frozenset[int]]]:
    """Everybody who wants it and may have it, with which of its subscriptions."""
    found = []
    for seat in world.seats.values():
        numbers = frozenset(
            number for number, wish in seat.wishes.items() if matches(wish.filter, message.topic)
        )
        meant = message.target in ("", seat.name)
        if numbers and meant and may_read(world.rules, seat.name, message.topic):
            found.append((seat.name, numbers))
    return found
