"""The declared topics: valid, found by name, with messages that exist and documents that agree."""

import re

import pytest

from daemoneye.bus import hierarchy
from daemoneye.bus.hierarchy import KINDS, TOPICS, declared_topic, message_of
from daemoneye.bus.proto import events_pb2
from daemoneye.bus.topics import TopicFilter, check_topic
from daemoneye.errors import InvalidTopic
from tests.support import document, table_in

DOCS = document("docs/hierarchy.md")


def example_of(declared):
    """One topic of the row."""
    return declared.filter.text.replace("+", "x").replace("#", "x")


by_topic = pytest.mark.parametrize("declared", TOPICS, ids=lambda declared: declared.text)


@by_topic
def test_a_declared_topic_is_valid_and_found(declared):
    assert check_topic(example_of(declared))
    assert message_of(example_of(declared)) == declared.message
    assert declared_topic(example_of(declared)) is declared


@by_topic
def test_a_declared_message_exists(declared):
    if declared.message is not None:
        package, _, name = declared.message.rpartition(".")
        assert package == events_pb2.DESCRIPTOR.package
        assert name in events_pb2.DESCRIPTOR.message_types_by_name


@by_topic
def test_a_declared_topic_says_who_speaks_to_whom_about_what(declared):
    assert declared.publisher
    assert declared.subscriber
    assert declared.sentence


def test_no_topic_belongs_to_two_rows():
    filters = [declared.filter for declared in TOPICS]
    met = [
        (a.text, b.text)
        for position, a in enumerate(filters)
        for b in filters[position + 1 :]
        if a.intersects(b)
    ]
    assert met == []


@pytest.mark.parametrize("name", ["lifecycle", "metadata", "anomaly", "batch"])
def test_one_filter_hears_every_kind_that_has_the_topic(name):
    heard = {
        declared.text
        for declared in TOPICS
        if TopicFilter(f"events.+.{name}").covers(declared.filter)
    }
    assert heard == {
        f"events.{kind}.{name}" for kind in KINDS if message_of(f"events.{kind}.{name}")
    }
    assert len(heard) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_events_and_tasks(kind):
    events = TopicFilter(hierarchy.events_of(kind))
    assert any(events.covers(declared.filter) for declared in TOPICS)
    assert message_of(hierarchy.task_topic(kind)) == "daemoneye.v1.Task"


def test_reserved_topics_are_the_brokers_and_nobody_else_has_any():
    reserved = TopicFilter(hierarchy.BUS)
    for declared in TOPICS:
        assert (declared.publisher == "broker") is reserved.covers(declared.filter)


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("events.process.lifecycle", "daemoneye.v1.ProcessLifecycle"),
        ("control.health.status", "daemoneye.v1.HealthStatus"),
        ("control.health.status.procmond", "daemoneye.v1.ChildStatus"),
        ("$bus.clients.operator", "daemoneye.v1.ClientPresence"),
        ("control.admin.anything.at-all", None),
        ("events.demo.tick", None),
        ("control.health.status.a.b", None),
    ],
)
def test_the_message_of_a_topic_is_found_by_its_name(topic, message):
    assert message_of(topic) == message


def test_names_are_filled_into_topics():
    assert hierarchy.events_of("process") == "events.process.#"
    assert hierarchy.task_topic("gpu") == "control.collector.task.gpu"
    assert hierarchy.status_topic("procmond") == "control.health.status.procmond"


@pytest.mark.parametrize("name", ["", "a.b", "+", "#", "A", "a b"])
@pytest.mark.parametrize(
    "fill", [hierarchy.events_of, hierarchy.task_topic, hierarchy.status_topic]
)
def test_a_name_that_is_no_level_is_refused(fill, name):
    with pytest.raises(InvalidTopic):
        fill(name)


def test_what_is_no_topic_has_no_message_but_an_explanation():
    with pytest.raises(InvalidTopic):
        message_of("events.*")


# ---- docs/hierarchy.md ---------------------------------------------------------------------------


def test_the_table_of_topics_is_the_declared_one():
    assert table_in(DOCS, "topic") == [
        [
            f"`{declared.text}`",
            f"{declared.publisher} → {declared.subscriber}",
            f"`{declared.message.rpartition('.')[2]}`" if declared.message else "agreed on by both",
            declared.sentence,
        ]
        for declared in TOPICS
    ]


@pytest.mark.parametrize("row", table_in(DOCS, "filter"), ids=lambda row: row[0])
def test_the_examples_of_filters_are_true(row):
    asked, matched, unmatched = (re.findall(r"`([^`]+)`", cell) for cell in row)
    for topic in matched:
        if topic != "$":
            assert TopicFilter(asked[0]).matches(topic)
    for topic in unmatched:
        assert not TopicFilter(asked[0]).matches(topic)


def test_the_refusal_shown_is_the_one_that_is_raised():
    with pytest.raises(InvalidTopic) as refused:
        TopicFilter("events.*")
    assert str(refused.value) in DOCS


def test_every_message_named_in_the_examples_exists():
    for names in re.findall(r"from daemoneye\.bus\.proto\.events_pb2 import (.+)", DOCS):
        for name in names.split(", "):
            assert hasattr(events_pb2, name)


def test_every_example_is_python():
    for example in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL):
        compile(example, "docs/hierarchy.md", "exec")


def test_the_links_lead_to_headings():
    headings = re.findall(r"^## (.+)$", DOCS, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", DOCS)) == anchors


def test_where_nothing_is_declared_the_broker_is_silent():
    for declared in TOPICS:
        assert not hierarchy.is_silent(declared.filter.text)
    assert hierarchy.is_silent("$bus.nothing")
    assert not hierarchy.is_silent("events.nothing")
    assert not hierarchy.is_silent("$bus.#")
    assert not hierarchy.is_silent("#")
