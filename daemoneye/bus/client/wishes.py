"""What a caller asks of a client, checked before anything is done about it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, TypedDict, cast

from daemoneye.bus.arguments import check_text, checked_flag, not_a
from daemoneye.bus.client.interests import Options
from daemoneye.bus.envelope import (
    Content,
    Correlation,
    as_content,
    encode_for,
    encode_payload,
)
from daemoneye.bus.frames import (
    NO_SELECTION,
    SELECTION_CHARACTERS,
    Choice,
    Guarantee,
    Heading,
    Overflow,
    Replay,
    Selection,
    Will,
    check_heading,
    check_target,
)
from daemoneye.bus.limits import MAX_WILL_BYTES, too_large_a_will
from daemoneye.bus.topics import Topic, TopicFilter, check_topic, is_level
from daemoneye.errors import InvalidTopic, LocalProtocolError

OFFERED = tuple(Overflow)
"""The ways to overflow that a subscription may choose."""


UNTIL_HANDLED = "handled"
"""What a confirmed publish may wait for beyond its being taken."""

GUARANTEES = {
    "": Guarantee.DEFAULT,
    "best-effort": Guarantee.BEST_EFFORT,
    "at-least-once": Guarantee.AT_LEAST_ONCE,
}
"""What may be asked of a publish; empty: what is usual for its topic."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Payloads that agree in their type, in order."""

    content_type: str
    """What they are; empty for plain bytes."""
    payloads: list[bytes]
    """None of them when nothing is published."""


def topic_of(topic: object) -> str:
    """The text of a topic.  Raises InvalidTopic for what is neither a str nor a Topic."""
    if isinstance(topic, str | Topic):
        return str(topic)
    raise InvalidTopic(
        f"a topic is a str, or a Topic, and not {type(topic).__name__}: {topic!r:.100}",
        hint='write "events.demo.tick", without a b before it',
    )


class Sent(TypedDict, total=False):
    """What may be said of several publishes."""

    target: str
    guarantee: str
    key: str


class Said(Sent, total=False):
    """What may be said of a publish."""

    correlation: Correlation | None
    expires_at: float
    retain: bool


class Asked(Sent, total=False):
    """What may be said of a confirmed publish."""

    correlation: Correlation | None
    retain: bool
    until: str
    timeout: float


class Bounded(TypedDict, total=False):
    """What may be said of every subscription."""

    timeout: float | None
    max_messages: int
    max_bytes: int


class Listening(Bounded, total=False):
    """What may be said of a subscription that hears everything."""

    overflow: str
    correlation_id: str
    stage: str
    tags: Mapping[str, str] | None
    replay: str


class Sharing(Bounded, total=False):
    """What may be said of one that shares its messages with a group."""

    choice: str


def written(topic: object, payload: Any) -> tuple[str, Content, str]:
    """The text of a topic, the payload as it travels there, and its content type.

    Raises InvalidTopic, and LocalProtocolError for what cannot travel, or not on this Topic.
    """
    if isinstance(topic, Topic):
        return topic.text, *encode_for(topic, payload)
    return topic_of(topic), *as_content(payload)


def in_bytes(topic: object, payload: Any) -> tuple[str, bytes, str]:
    """As `written`, with a copy of a large buffer: who waits for tasks may not lend it out."""
    text, content, content_type = written(topic, payload)
    return text, bytes(content), content_type


def will_of(topic: object, payload: Any, retain: bool) -> Will:
    """What is to be said when a client ends without a word.

    Raises InvalidTopic, TooLarge, and LocalProtocolError for what cannot travel.
    """
    text, content, content_type = in_bytes(topic, payload)
    check_topic(text)
    if (size := len(content) + len(content_type.encode())) > MAX_WILL_BYTES:
        raise too_large_a_will(text, size)
    return Will(text, content, content_type, checked_flag("retain", retain))


def heading_of(
    topic: str,
    target: str,
    content_type: str,
    correlation: Correlation | None = None,
    expires_at: float = 0.0,
    retain: bool = False,
    *,
    guarantee: str = "",
    key: str = "",
    until: str = "",
) -> Heading:
    """What a publish says besides its payload; `expires_at` is in seconds of Unix time.

    Raises LocalProtocolError.
    """
    if guarantee not in tuple(GUARANTEES):  # which asks for no hash of it
        raise LocalProtocolError(
            f"{guarantee!r:.100} is no guarantee", hint='"best-effort" or "at-least-once"'
        )
    if until not in ("", UNTIL_HANDLED):
        raise LocalProtocolError(
            f"until is {until!r:.100}, and a receipt does not come then",
            hint=f'"{UNTIL_HANDLED}", or leave it out',
        )
    check_topic(topic)
    heading = Heading(
        topic,
        target,
        content_type,
        correlation,
        _point_in_time(expires_at),
        GUARANTEES[guarantee],
        partition_key=key,
        retain=checked_flag("retain", retain),
        until_handled=bool(until),
    )
    check_target(target)
    check_heading(topic, len(heading.prefix), key)
    return heading


def _point_in_time(expires_at: object) -> int:
    """Unix time in ns.  Raises LocalProtocolError."""
    if isinstance(expires_at, bool) or not isinstance(expires_at, Real):
        raise not_a(
            "Unix time in seconds",
            "expires_at",
            expires_at,
            "time.time() + 60 is in a minute; of a datetime it is .timestamp()",
        )
    try:
        expires_ns = round(float(expires_at) * 1e9)
    except (OverflowError, ValueError):
        expires_ns = -1
    if not 0 <= expires_ns < 1 << 64:
        raise LocalProtocolError(
            f"expires_at is {expires_at!r:.100}, and no point in time",
            hint="give Unix time in seconds, or 0 for never",
        )
    return expires_ns


def batches(payloads: Iterable[Any], topic: object = "") -> list[Batch]:
    """These payloads as bytes, those together that follow one another and agree in their type.

    On a Topic they have to be what it carries.  There is at least one batch, whose topic is checked
    although it may be empty.  Raises LocalProtocolError, before any of them has gone anywhere.
    """
    payloads = list(payloads) if type(payloads) is list else _each_of(payloads)
    typed = topic if isinstance(topic, Topic) else None
    if typed is None and set(map(type, payloads)) <= {bytes}:
        return [Batch("", payloads)]
    encode = encode_payload if typed is None else partial(encode_for, typed)
    found: list[Batch] = []
    for payload, content_type in map(encode, payloads):
        if not found or found[-1].content_type != content_type:
            found.append(Batch(content_type, []))
        found[-1].payloads.append(bytes(payload))
    return found or [Batch("", [])]


def _each_of(payloads: object) -> list[Any]:
    """These payloads in a list.  Raises LocalProtocolError for one payload instead of several."""
    one = isinstance(payloads, str | bytes | bytearray | memoryview | Mapping)
    if one or not (isinstance(payloads, Iterable) or hasattr(type(payloads), "__getitem__")):
        raise not_a(
            "an iterable of them", "payloads", payloads, "give a list, also of a single payload"
        )
    return list(cast("Iterable[Any]", payloads))


def serving_of(topic: str) -> Options:
    """How one who serves this topic wants to have its calls.  Raises InvalidTopic."""
    try:
        check_topic(topic)
    except InvalidTopic as error:
        raise InvalidTopic(
            str(error.args[0]), hint="serve a topic, without wildcards, and each by itself"
        ) from None
    return Options(serve=True)


_SELECTION_HINT = 'for example stage="checked", tags={"host": "a"}'


def selection_of(correlation_id: str, stage: str, tags: Mapping[str, str] | None) -> Selection:
    """Which correlations a subscription wants.  Raises LocalProtocolError."""
    if tags is not None and not isinstance(tags, Mapping):
        raise not_a("a mapping", "tags to select by", tags, _SELECTION_HINT)
    check_text("correlation_id to select by", correlation_id, _SELECTION_HINT)
    check_text("stage to select by", stage, _SELECTION_HINT)
    for each in (*(tags or {}), *(tags or {}).values()):
        check_text("a tag to select by", each, _SELECTION_HINT)
    selection = Selection(correlation_id, stage, tuple(sorted((tags or {}).items())))
    if selection.characters > SELECTION_CHARACTERS:
        raise LocalProtocolError(
            f"a selection of {selection.characters} characters",
            hint=f"at most {SELECTION_CHARACTERS} in correlation_id, stage and tags",
        )
    return selection


def options_of(
    filters: tuple[str | Topic[Any], ...],
    overflow: str,
    max_messages: int,
    max_bytes: int,
    selection: Selection = NO_SELECTION,
    replay: str = Replay.IF_NEW,
    *,
    group: str = "",
    choice: str = "",
) -> Options:
    """How a subscription to these filters wants to be served.

    Raises InvalidTopic and LocalProtocolError.
    """
    if not filters:
        raise LocalProtocolError("nothing to subscribe to", hint='give a filter, like "events.#"')
    if overflow not in OFFERED:
        raise LocalProtocolError(
            f"{overflow!r:.100} is no way to overflow",
            hint=f"known are {', '.join(OFFERED)}",
        )
    if replay not in tuple(Replay):
        raise LocalProtocolError(
            f"{replay!r:.100} is no way to be sent retained values",
            hint=f"known are {', '.join(Replay)}",
        )
    for each in filters:
        if not isinstance(each, str | Topic):
            raise InvalidTopic(
                f"a filter is a str, or a Topic, and not {type(each).__name__}: {each!r:.100}",
                hint='write "events.#", without a b before it',
            )
        TopicFilter(str(each))
    if group != "" or choice != "":
        _check_group(filters, overflow, selection, group, choice)
    return Options(
        Overflow(overflow),
        max_messages,
        max_bytes,
        group=group,
        choice=Choice(choice or Choice.DEFAULT),
        replay=Replay(replay),
        selection=selection,
    )


def _check_group(
    filters: tuple[object, ...], overflow: str, selection: Selection, group: object, choice: str
) -> None:
    if choice != "" and group == "":
        raise LocalProtocolError(
            f"a choice is for groups, and {choice!r:.100} is given without one",
            hint='say which, as in group="workers", or leave the choice out',
        )
    if not isinstance(group, str) or not is_level(group):
        raise LocalProtocolError(
            f"{group!r:.100} cannot be the name of a group",
            hint="1 to 64 of a-z, 0-9, `_` and `-`; leave it out to hear everything",
        )
    if len(filters) > 1:
        raise LocalProtocolError(
            f"the group {group} cannot share {len(filters)} filters",
            hint="subscribe once for each, or use a wildcard",
        )
    if choice not in ("", *Choice):
        raise LocalProtocolError(
            f"{choice!r:.100} is no choice",
            hint=f"known are {', '.join(tuple(Choice)[1:])}",
        )
    if selection or overflow != Overflow.DEFAULT:
        what = "selection" if selection else "overflow"
        raise LocalProtocolError(
            f"a member of a group has no {what} of its own",
            hint="what it has no room for goes to another, and nobody misses anything",
        )
