"""Who may publish, subscribe and receive what, and which rule says so.  Pure.

Deny by default; deny beats allow; nothing reaches across namespaces unless a rule says so.  The
rights of an identity are compiled from, in this order:

* what holds for everybody (`$bus` is the broker's, `control.admin` is for agents),
* its role in `ROLES`, where what the child's spec declares takes the place of the role's
  `publishes` and `subscribes` while what stands under `always` stays,
* the access list of the plan.

An access list is never changed: new rules are a new list, and live sessions are held against it at
once.  Rights are compiled when somebody first asks, once for each identity.  The list is asked at
both ends: when somebody publishes or subscribes, and again for each concrete topic before anything
is delivered on any path.

Subscribing to a filter F is *granted* when one allowed filter covers F and no denied one meets
it, *narrowed* when a denied one meets it without covering it, and refused otherwise.  Two allowed
filters that cover F only together do not grant it.  That several denied filters together leave
nothing of F is not noticed either: it is then narrowed to nothing.

Costs: a decision walks a tree of this identity's rules, and asks those it finds there, some 0.5 µs
each.  The compiled rights are kept for `KEPT_RIGHTS` identities.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from daemoneye.bus import hierarchy
from daemoneye.bus.roles import AGENT, ROLES
from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import TopicFilter, check_topic, escaped, is_level
from daemoneye.errors import ConfigError, InvalidTopic

EVERYBODY = "*"
DENY_BY_DEFAULT = "no rule allows it"
"""Stands for the rule that decided when none did."""
KEPT_RIGHTS = 4096
"""For how many identities the compiled rights are remembered."""
LISTED = 12
"""How many filters a sentence names before it only counts."""


# ---- who ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is proven to be.  Raises ConfigError for a name that is no level of a topic."""

    name: str
    """Stamped on all it publishes; 1 to 64 of `a-z 0-9 _ -`."""
    role: str
    """The named set of rights; a role that `ROLES` does not have gives none."""
    kind: str = ""
    """What a collector collects; empty for others."""
    incarnation: int = 0
    """Which life of the child this is."""
    pid: int = 0
    """Its process; 0 when the platform cannot tell."""

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("role", self.role), ("kind", self.kind or "-")):
            if not is_level(text):
                raise ConfigError(
                    f"an identity cannot have the {what} {escaped(text)}",
                    hint="1 to 64 of a-z, 0-9, `_` and `-`",
                )


@dataclass(frozen=True, slots=True)
class Declared:
    """What the spec of a child says it publishes and subscribes to."""

    publishes: tuple[TopicFilter, ...] | None = None
    """Takes the place of what its role publishes; None: it does not say, the role's holds."""
    subscribes: tuple[TopicFilter, ...] | None = None
    """The same for subscribing."""


# ---- rules --------------------------------------------------------------------------------------


class Access(enum.StrEnum):
    """What a rule is about."""

    READ_ONLY = "read-only"
    """Subscribing and receiving."""
    WRITE_ONLY = "write-only"
    """Publishing."""
    READ_WRITE = "read-write"
    """Both."""
    RESTRICTED = "restricted"
    """Both, for agents; neither, for all others the rule names."""


_READING = frozenset({Access.READ_ONLY, Access.READ_WRITE, Access.RESTRICTED})
_WRITING = frozenset({Access.WRITE_ONLY, Access.READ_WRITE, Access.RESTRICTED})


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One line of an access list.  Raises ConfigError when it means nothing."""

    who: str
    """`role:NAME`, an identity's name (with or without `identity:` before it), or `*`."""
    access: Access | str
    """What it is about, as an Access or its text."""
    filter: str
    """The topics; whole levels `{id}`, `{kind}`, `{role}` are filled with the proven identity."""
    deny: bool = False
    """It takes away instead of granting."""

    def __post_init__(self) -> None:
        prefix, colon, name = self.who.rpartition(":")
        named = is_level(name) and (prefix in ("role", "identity") if colon else True)
        if self.who != EVERYBODY and not named:
            raise ConfigError(
                f"an access rule is about {escaped(self.who)}, which is nobody",
                hint="role:NAME, the name of an identity, or * for everybody",
            )
        if self.access not in tuple(Access):
            raise ConfigError(
                f"an access rule gives {escaped(self.access)}", hint=f"one of {', '.join(Access)}"
            )
        if self.deny and self.access == Access.RESTRICTED:
            raise ConfigError(
                "an access rule both denies and restricts",
                hint="restricted already denies all but agents; to deny agents too: read-write",
            )
        try:
            TopicFilter(_filled(self.filter, {"id": "x", "kind": "x", "role": "x"}))
        except InvalidTopic as invalid:
            raise ConfigError(
                f"an access rule has no valid filter: {invalid.args[0]}",
                hint=invalid.hint if "{" not in self.filter else _PLACEHOLDER_HINT,
            ) from None

    def __str__(self) -> str:
        if self.access == Access.RESTRICTED:
            return f"restrict {self.who} {self.filter} to role:{AGENT}"
        return f"{'deny' if self.deny else 'allow'} {self.who} {self.access} {self.filter}"

    def is_about(self, identity: Identity) -> bool:
        """Whether this identity is one the rule names."""
        if self.who.startswith("role:"):
            return self.who == f"role:{identity.role}"
        return self.who in (EVERYBODY, identity.name, f"identity:{identity.name}")

    def takes_from(self, identity: Identity) -> bool:
        """Whether the rule, for one it is about, denies."""
        return self.deny or (self.access == Access.RESTRICTED and identity.role != AGENT)


_PLACEHOLDER_HINT = "a placeholder is a whole level: {id}, {kind} or {role}"


def _filled(text: str, values: dict[str, str]) -> str:
    """The filter with its placeholders filled, level by level."""
    levels = (
        values.get(level[1:-1], level) if level[:1] == "{" and level[-1:] == "}" else level
        for level in text.split(".")
    )
    return ".".join(levels)


def _filter_for(rule: AccessRule, identity: Identity) -> TopicFilter | None:
    """The rule's filter for this identity; None when it has no kind and the rule asks for one."""
    if not identity.kind and "{kind}" in rule.filter:
        return None
    values = {"id": identity.name, "kind": identity.kind, "role": identity.role}
    return TopicFilter(_filled(rule.filter, values))


FOR_EVERYBODY = (
    AccessRule(EVERYBODY, Access.WRITE_ONLY, hierarchy.BUS, deny=True),
    AccessRule(EVERYBODY, Access.RESTRICTED, hierarchy.ADMIN),
)


def forbidding_rule(role: str, text: str, *, publishes: bool) -> str:
    """The built-in rule by which nobody of the role may publish to, or read, this filter, or ""."""
    asked = TopicFilter(text)
    return next(
        (
            str(rule)
            for rule in FOR_EVERYBODY
            if rule.access in (_WRITING if publishes else _READING)
            and (rule.deny or role != AGENT)
            and TopicFilter(rule.filter).covers(asked)
        ),
        "",
    )


# ---- decisions ----------------------------------------------------------------------------------


class Verdict(enum.StrEnum):
    """What became of a question."""

    GRANTED = "granted"
    NARROWED = "narrowed"
    """A subscription only: granted, but for what is cut."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to whether somebody may do something, and why."""

    verdict: Verdict
    """Granted, narrowed or refused."""
    rule: str
    """The text of the rule that decided."""
    cut: tuple[TopicFilter, ...] = ()
    """Narrowed: exactly the topics of the asked filter that will never be delivered."""
    readable: tuple[TopicFilter, ...] = ()
    """A refused subscription: what this identity may read instead."""
    hint: str = ""
    """Refused: what this identity may do instead, in words."""

    @property
    def allowed(self) -> bool:
        """Whether it may go ahead, narrowed or not."""
        return self.verdict is not Verdict.REFUSED

    def __str__(self) -> str:
        said = f"{self.verdict}: {self.rule}"
        if self.cut:
            said += f"; without {_listed(self.cut)}"
        return f"{said} ({self.hint})" if self.hint else said


@dataclass(frozen=True, slots=True)
class _Line:
    """A rule as it holds for one identity."""

    order: int
    filter: TopicFilter
    text: str
    denies: bool


_first = attrgetter("order")


class _Side:
    """What one identity may publish, or what it may read."""

    __slots__ = ("_allow_tree", "_deny_tree", "_hint", "permitted")

    def __init__(self, lines: Iterable[_Line], verb: str) -> None:
        every = tuple(lines)
        allows = tuple(line for line in every if not line.denies)
        denies = tuple(line for line in every if line.denies)
        self._allow_tree = _tree_of(allows)
        self._deny_tree = _tree_of(denies)
        self.permitted = tuple(
            dict.fromkeys(
                allow.filter
                for allow in allows
                if not any(deny.filter.covers(allow.filter) for deny in denies)
            )
        )
        but = tuple(
            dict.fromkeys(
                deny.filter
                for deny in denies
                if any(deny.filter.intersects(each) for each in self.permitted)
            )
        )
        self._hint = f"may {verb} {_listed(self.permitted)}"
        if but:
            self._hint += f", but not {_listed(but)}"

    def on_topic(self, topic: str) -> Decision:
        """Raises InvalidTopic when it is no topic."""
        levels = check_topic(topic)
        denied = self._deny_tree.match(levels)
        if denied:
            return self._refused(min(denied, key=_first).text)
        allowed = self._allow_tree.match(levels)
        if allowed:
            return Decision(Verdict.GRANTED, min(allowed, key=_first).text)
        return self._refused(DENY_BY_DEFAULT)

    def on_filter(self, asked: TopicFilter) -> Decision:
        near = self._deny_tree.near(asked)
        met = sorted((line for line in near if line.filter.intersects(asked)), key=_first)
        for line in met:
            if line.filter.covers(asked):
                return self._refused(line.text, self.permitted)
        # Walking the tree with the head of a filter finds all that might cover it: `+` there is
        # a level that no literal equals.
        around = self._allow_tree.match(asked.head)
        covering = [line for line in around if line.filter.covers(asked)]
        if not covering:
            return self._refused(DENY_BY_DEFAULT, self.permitted)
        if not met:
            return Decision(Verdict.GRANTED, min(covering, key=_first).text)
        cuts = (line.filter.intersection(asked) for line in met)
        cut = tuple(dict.fromkeys(each for each in cuts if each is not None))
        return Decision(Verdict.NARROWED, met[0].text, cut=cut)

    def _refused(self, rule: str, readable: tuple[TopicFilter, ...] = ()) -> Decision:
        return Decision(Verdict.REFUSED, rule, readable=readable, hint=self._hint)


def _tree_of(lines: Iterable[_Line]) -> SubscriptionTree[_Line]:
    tree: SubscriptionTree[_Line] = SubscriptionTree()
    for line in lines:
        tree.add(line.filter, line)
    return tree


def _listed(filters: tuple[TopicFilter, ...]) -> str:
    """The first of the filters, for a sentence."""
    said = ", ".join(each.text for each in filters[:LISTED]) or "nothing"
    return f"{said} and {len(filters) - LISTED} more" if len(filters) > LISTED else said


@dataclass(frozen=True, slots=True)
class _Rights:
    """The compiled rights of one identity."""

    publishing: _Side
    reading: _Side


class AccessList:
    """All rules of a bus, built-in ones included.  Immutable: new rules are a new list."""

    __slots__ = ("_kept", "_rules")

    def __init__(self, rules: Iterable[AccessRule] = ()) -> None:
        self._rules = tuple(rules)
        self._kept: dict[tuple[str, str, str, Declared], _Rights] = {}

    def may_publish(self, identity: Identity, declared: Declared, topic: str) -> Decision:
        """Whether `identity` may publish on `topic`.  Raises InvalidTopic when it is no topic."""
        return self._rights(identity, declared).publishing.on_topic(topic)

    def may_subscribe(self, identity: Identity, declared: Declared, asked: TopicFilter) -> Decision:
        """Whether `identity` may subscribe to the filter, and what is cut out of it."""
        return self._rights(identity, declared).reading.on_filter(asked)

    def may_receive(self, identity: Identity, declared: Declared, topic: str) -> Decision:
        """Whether an event on `topic` may be delivered to `identity`, by whatever path.

        Raises InvalidTopic when it is no topic.
        """
        return self._rights(identity, declared).reading.on_topic(topic)

    def _rights(self, identity: Identity, declared: Declared) -> _Rights:
        key = (identity.name, identity.role, identity.kind, declared)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= KEPT_RIGHTS:
                self._kept.clear()
            found = self._kept[key] = self._compiled(identity, declared)
        return found

    def _compiled(self, identity: Identity, declared: Declared) -> _Rights:
        publishing: list[_Line] = []
        reading: list[_Line] = []
        for order, (rule, origin) in enumerate(self._rules_for(identity, declared)):
            topics = _filter_for(rule, identity)
            if topics is None or not rule.is_about(identity):
                continue
            line = _Line(order, topics, f"{rule} ({origin})", rule.takes_from(identity))
            if rule.access in _WRITING:
                publishing.append(line)
            if rule.access in _READING:
                reading.append(line)
        return _Rights(_Side(publishing, "publish on"), _Side(reading, "read"))

    def _rules_for(
        self, identity: Identity, declared: Declared
    ) -> Iterator[tuple[AccessRule, str]]:
        """Every rule that might be about this identity, and where it comes from."""
        yield from ((rule, "built in") for rule in FOR_EVERYBODY)
        yield from _rules_of_role(identity.role, declared)
        yield from _rules_declared(identity.name, declared)
        yield from ((rule, "access list") for rule in self._rules)


def _rules_of_role(name: str, declared: Declared) -> Iterator[tuple[AccessRule, str]]:
    role = ROLES.get(name)
    if role is None:
        return
    who = f"role:{name}"
    written = role.always_publishes + (role.publishes if declared.publishes is None else ())
    read = role.always_subscribes + (role.subscribes if declared.subscribes is None else ())
    yield from ((AccessRule(who, Access.WRITE_ONLY, text), "built in") for text in written)
    yield from ((AccessRule(who, Access.READ_ONLY, text), "built in") for text in read)


def _rules_declared(name: str, declared: Declared) -> Iterator[tuple[AccessRule, str]]:
    who = f"identity:{name}"
    for each in declared.publishes or ():
        yield AccessRule(who, Access.WRITE_ONLY, each.text), "declared"
    for each in declared.subscribes or ():
        yield AccessRule(who, Access.READ_ONLY, each.text), "declared"
