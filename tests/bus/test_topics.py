"""Topics and filters: the grammar with its explanations, and filters as sets of topics."""

import csv
import itertools
import pickle
import re
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus.topics import CACHED_TOPICS, Topic, TopicFilter, check_topic, escaped
from daemoneye.errors import InvalidTopic, LocalProtocolError
from tests.hostile.names import BAD_NAMES, BAD_TOPICS, GOOD_NAMES

VECTORS = Path(__file__).parent.parent / "vectors"


def rows(name):
    with (VECTORS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- vectors --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", rows("topic_match.csv"), ids=lambda row: ascii(list(row.values())))
def test_matching_agrees_with_the_vectors(row):
    if row["expected"] == "invalid-filter":
        with pytest.raises(InvalidTopic):
            TopicFilter(row["filter"])
    elif row["expected"] == "invalid-topic":
        with pytest.raises(InvalidTopic):
            TopicFilter(row["filter"]).matches(row["topic"])
    else:
        assert TopicFilter(row["filter"]).matches(row["topic"]) is (row["expected"] == "true")


@pytest.mark.parametrize(
    "row", rows("filter_algebra.csv"), ids=lambda row: f"{row['a']} and {row['b']}"
)
def test_algebra_agrees_with_the_vectors(row):
    a, b = TopicFilter(row["a"]), TopicFilter(row["b"])
    assert a.covers(b) is (row["a_covers_b"] == "true")
    assert_same_set(a.intersection(b), row["intersection"])
    assert_same_set(b.intersection(a), row["intersection"])
    assert a.intersects(b) is b.intersects(a) is bool(row["intersection"])


def assert_same_set(filter_, expected):
    if not expected:
        assert filter_ is None
        return
    wanted = TopicFilter(expected)
    assert filter_ is not None
    assert filter_.covers(wanted)
    assert wanted.covers(filter_)


# ---- against ten naive lines ------------------------------------------------------------------


def naive(pattern, levels, first=True):
    if not pattern:
        return not levels
    if first and levels[0].startswith("$") and pattern[0] in "+#":
        return False
    if pattern[0] == "#":
        return True
    if not levels:
        return False
    return pattern[0] in ("+", levels[0]) and naive(pattern[1:], levels[1:], False)


# One level more than any filter below has, so that a set with `#` differs from one without.
UNIVERSE = [
    first + rest
    for length in range(5)
    for first in (("a",), ("b",), ("c",), ("$a",))
    for rest in itertools.product("abc", repeat=length)
]


@st.composite
def filters(draw):
    first = draw(st.sampled_from(["a", "b", "+", "$a"]))
    levels = [first, *draw(st.lists(st.sampled_from(["a", "b", "+"]), max_size=2))]
    if draw(st.booleans()):
        levels = [*levels, "#"] if draw(st.booleans()) else [*levels[:-1], "#"]
    return ".".join(levels)


def set_of(text):
    pattern = tuple(text.split("."))
    return {topic for topic in UNIVERSE if naive(pattern, topic)}


@settings(max_examples=150, deadline=None)
@given(filters(), filters())
def test_matches_covers_and_intersection_are_relations_of_sets(one, other):
    a, b = TopicFilter(one), TopicFilter(other)
    set_a, set_b = set_of(one), set_of(other)
    assert {topic for topic in UNIVERSE if a.matches(".".join(topic))} == set_a
    assert a.covers(b) is (set_a >= set_b)
    assert a.intersects(b) is bool(set_a & set_b)
    both = a.intersection(b)
    assert (set_of(both.text) if both else set()) == set_a & set_b


@given(st.text(max_size=40) | st.text("ab.+#$*/ A\x1b", max_size=20))
def test_any_text_is_a_filter_or_is_refused_with_a_hint_and_never_shown_raw(text):
    refused = refusal_of(text)
    if refused is not None:
        assert refused.hint
        assert str(refused).isascii()
        assert str(refused).isprintable()


def refusal_of(text):
    try:
        TopicFilter(text)
    except InvalidTopic as refused:
        return refused
    return None


# ---- grammar and explanations -----------------------------------------------------------------

L64 = "a" * 64


@pytest.mark.parametrize(
    ("text", "says", "hints"),
    [
        ("", "empty text", "for example"),
        ("a..b", "level 2, '', of topic 'a..b' is empty", "surplus dot"),
        (".a", "level 1", "surplus dot"),
        ("a.", "level 2", "surplus dot"),
        ("a.Process", "level 2, 'Process'", "lower case: process"),
        (" a", "contains U+0020, space", "space around it: a"),
        ("a.b c", "contains U+0020, space", "a-z"),
        ("a\tb", "contains U+0009, a control character", "a-z"),
        ("a\0b", "contains U+0000", "a-z"),
        ("a.b\n", "contains U+000A", "space around it: b"),
        ("a.\x1b[31m", "contains U+001B", "a-z"),
        ("\u0430bc", "contains U+0430, cyrillic small letter a", "a-z"),
        ("a.\u0663", "contains U+0663, arabic-indic digit three", "a-z"),
        ("a." + L64 + "a", "has 65 characters", "at most 64"),
        (".".join("a" * 17), "has 17 levels", "at most 16"),
        (".".join([L64, L64, L64, "a" * 61]), "has 256 characters", "at most 255"),
        ("a/b", "contains /", "separated by dots: 'a.b'"),
        ("a.*", "contains *", "`+` is one level, `#` is the rest"),
        ("a.>", "contains >", "`+` is one level, `#` is the rest"),
        ("a.$b", "contains $", "only begin the first level"),
        ("$", "is not allowed here", "a name has to follow"),
        ("a.+", "is not allowed here", "for filters"),
        ("#", "is not allowed here", "for filters"),
    ],
)
def test_a_bad_topic_is_refused_with_the_level_and_the_likely_meaning(text, says, hints):
    with pytest.raises(InvalidTopic) as refused:
        check_topic(text)
    assert says in refused.value.args[0]
    assert hints in refused.value.hint
    with pytest.raises(InvalidTopic):
        TopicFilter("#").matches(text)


@pytest.mark.parametrize(
    ("text", "says", "hints"),
    [
        ("events.*", "level 2, '*', of filter 'events.*' contains *", "`+` is one level"),
        ("events.>", "contains >", "`#` is the rest"),
        ("events.**", "contains *", "`#` is the rest"),
        ("a.#.b", "level 2, '#'", "comes last"),
        ("#.#", "level 1, '#'", "comes last"),
        ("a+", "level 1, 'a+', of filter 'a+' contains +", "a whole level"),
        ("a.b#", "contains #", "a whole level"),
        ("a.++", "contains +", "a whole level"),
        ("$+.a", "contains $", "a whole level"),
        ("+/a", "contains +", "a whole level"),
        (".".join("a" * 16) + ".#", "has 17 levels", "at most 16"),
    ],
)
def test_a_bad_filter_is_refused_with_the_level_and_the_likely_meaning(text, says, hints):
    with pytest.raises(InvalidTopic) as refused:
        TopicFilter(text)
    assert says in refused.value.args[0]
    assert hints in refused.value.hint


@pytest.mark.parametrize("text", BAD_TOPICS.values(), ids=BAD_TOPICS)
def test_b2_a_bad_topic_is_refused_and_never_matched(text):
    with pytest.raises(InvalidTopic) as refused:
        check_topic(text)
    assert_says_why(refused.value)
    for filter_ in ("#", "+.#", "events.#", "events.+"):
        with pytest.raises(InvalidTopic):
            TopicFilter(filter_).matches(text)


@pytest.mark.parametrize("text", BAD_NAMES.values(), ids=BAD_NAMES)
def test_b2_a_bad_filter_is_refused(text):
    with pytest.raises(InvalidTopic) as refused:
        TopicFilter(text)
    assert_says_why(refused.value)


def assert_says_why(refused):
    """Which level, or how many; what is meant; and nothing that a log would choke on."""
    assert re.search(r"level \d+|characters|levels|empty text", refused.args[0])
    assert refused.hint
    assert str(refused).isascii()
    assert str(refused).isprintable()
    assert len(str(refused)) < 300


@pytest.mark.parametrize("text", GOOD_NAMES.values(), ids=GOOD_NAMES)
def test_b2_the_longest_names_are_topics_and_filters(text):
    assert TopicFilter(text).matches(text)


@pytest.mark.parametrize(
    "text",
    ["a", "0", "-", "_", "$bus", "$bus.clients.a", L64, "$" + "a" * 63, ".".join("a" * 16)]
    + [".".join([L64, L64, L64, "a" * 60])],
)
def test_names_up_to_the_limits_are_topics_and_filters(text):
    assert check_topic(text) == tuple(text.split("."))
    assert TopicFilter(text).matches(text)


def test_a_refused_name_is_also_a_value_error():
    with pytest.raises(ValueError, match="empty text"):
        check_topic("")


def test_foreign_text_is_escaped_and_clipped():
    assert escaped("a\x1b[2J\u2028") == r"'a\x1b[2J\u2028'"
    assert len(escaped("x" * 10_000)) == 82


def test_the_memory_of_checked_topics_is_bounded():
    for number in range(CACHED_TOPICS + 10):
        check_topic(f"a.b{number}")
    assert check_topic.cache_info().currsize == CACHED_TOPICS


# ---- filters as values ------------------------------------------------------------------------


def test_a_filter_is_a_value():
    assert TopicFilter("a.+") == TopicFilter("a.+") != TopicFilter("a.#")
    assert len({TopicFilter("a.+"), TopicFilter("a.+")}) == 1
    assert str(TopicFilter("a.+")) == "a.+"
    assert repr(TopicFilter("a.+")) == "TopicFilter(text='a.+')"
    assert pickle.loads(pickle.dumps(TopicFilter("a.#"))).covers(TopicFilter("a.b"))
    with pytest.raises(AttributeError):
        TopicFilter("a").text = "b"  # type: ignore[misc]  # the point of the test


def test_different_texts_may_be_the_same_set():
    one, other = TopicFilter("#"), TopicFilter("+.#")
    assert one.covers(other)
    assert other.covers(one)
    assert one != other


def test_the_rest_of_a_reserved_topic_is_reached_only_by_name():
    assert TopicFilter("$bus.#").matches("$bus")
    assert not TopicFilter("#").matches("$bus.clients.a")
    assert not TopicFilter("#").covers(TopicFilter("$bus.+"))
    assert TopicFilter("+.clients").intersection(TopicFilter("$bus.#")) is None


def test_an_intersection_that_outgrows_a_topic_is_empty():
    left = TopicFilter(".".join([L64, L64, "+", "+"]))
    right = TopicFilter(".".join(["+", "+", L64, L64]))
    assert left.intersection(right) is None
    assert not left.intersects(right)


def test_an_intersection_without_room_for_a_rest_has_none():
    left = TopicFilter(".".join([L64, L64, "+", "+", "#"]))
    right = TopicFilter(".".join(["+", "+", L64, "a" * 60, "#"]))
    assert left.intersection(right) == TopicFilter(".".join([L64, L64, L64, "a" * 60]))
    assert left.intersects(right)


# ---- typed handles ----------------------------------------------------------------------------


def test_a_typed_handle_carries_the_topic_and_its_type():
    handle = Topic("events.demo.tick", bytes)
    assert (str(handle), handle.payload) == ("events.demo.tick", bytes)


@pytest.mark.parametrize("payload", [str, int, None, "bytes", object()])
def test_a_typed_handle_refuses_what_cannot_travel(payload):
    with pytest.raises(LocalProtocolError, match="cannot carry") as caught:
        Topic("events.demo.tick", payload)
    assert "protobuf class" in caught.value.hint


def test_a_typed_handle_refuses_a_filter():
    with pytest.raises(InvalidTopic):
        Topic("events.+.tick", bytes)


@pytest.mark.parametrize("text", [3, None, b"events.x", ["events.x"], True])
def test_a_typed_handle_refuses_what_is_no_text(text):
    words = f"a topic is a str, and not {type(text).__name__}: {text!r}"
    with pytest.raises(InvalidTopic, match=re.escape(words)) as caught:
        Topic(text, dict)
    assert caught.value.hint


def test_a_typed_handle_carries_a_class_of_messages_and_no_message():
    with pytest.raises(LocalProtocolError, match="cannot carry"):
        Topic("events.x", Duration())  # type: ignore[arg-type]  # on purpose
