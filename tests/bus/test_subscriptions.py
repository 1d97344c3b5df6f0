"""The tree of subscriptions: finds what a scan finds, and holds nothing for those who have gone."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from daemoneye.bus.subscriptions import SubscriptionTree
from daemoneye.bus.topics import TopicFilter, check_topic

TOPICS = [
    ".".join((first, *rest))
    for length in range(4)
    for first in ("a", "b", "$a")
    for rest in itertools.product("ab", repeat=length)
]


@st.composite
def filters(draw):
    levels = [draw(st.sampled_from(["a", "b", "+", "$a"]))]
    levels += draw(st.lists(st.sampled_from(["a", "b", "+"]), max_size=3))
    if draw(st.booleans()):
        levels[-1] = "#"
    return TopicFilter(".".join(levels))


def tree_of(*pairs):
    tree = SubscriptionTree()
    for text, item in pairs:
        tree.add(TopicFilter(text), item)
    return tree


def match(tree, topic):
    return tree.match(check_topic(topic))


# ---- against a scan -----------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(filters(), st.integers(0, 5)), max_size=30))
def test_the_tree_finds_what_a_scan_finds(pairs):
    tree = SubscriptionTree()
    for topic_filter, item in pairs:
        tree.add(topic_filter, item)
    for topic in TOPICS:
        scan = [item for topic_filter, item in set(pairs) if topic_filter.matches(topic)]
        assert sorted(match(tree, topic)) == sorted(scan)


@settings(max_examples=100, deadline=None)
@given(st.lists(filters(), max_size=30, unique=True), filters())
def test_what_is_near_a_filter_includes_all_that_share_a_topic_with_it(held, asked):
    tree = SubscriptionTree()
    for topic_filter in held:
        tree.add(topic_filter, topic_filter)
    near = tree.near(asked)
    assert len(near) == len(set(near))
    assert {each for each in near if each.intersects(asked)} == {
        each for each in held if each.intersects(asked)
    }


class AddAndRemove(RuleBasedStateMachine):
    """Any sequence of additions and removals leaves the tree equal to a set of pairs."""

    def __init__(self):
        super().__init__()
        self.tree = SubscriptionTree()
        self.model = set()

    @rule(topic_filter=filters(), item=st.integers(0, 3))
    def add(self, topic_filter, item):
        assert self.tree.add(topic_filter, item) is ((topic_filter, item) not in self.model)
        self.model.add((topic_filter, item))

    @rule(topic_filter=filters(), item=st.integers(0, 3))
    def remove(self, topic_filter, item):
        assert self.tree.remove(topic_filter, item) is ((topic_filter, item) in self.model)
        self.model.discard((topic_filter, item))

    @rule(data=st.data())
    def remove_one_that_is_there(self, data):
        if self.model:
            pair = data.draw(st.sampled_from(sorted(self.model, key=str)))
            assert self.tree.remove(*pair)
            self.model.remove(pair)

    @invariant()
    def holds_the_pairs(self):
        assert len(self.tree) == len(self.model)
        for topic in TOPICS[::5]:
            scan = [item for topic_filter, item in self.model if topic_filter.matches(topic)]
            assert sorted(match(self.tree, topic)) == sorted(scan)

    @invariant()
    def holds_no_more_nodes_than_the_filters_need(self):
        heads = (topic_filter.levels for topic_filter, _ in self.model)
        paths = [tuple(level for level in levels if level != "#") for levels in heads]
        needed = {path[:length] for path in paths for length in range(1, len(path) + 1)}
        assert count_nodes(self.tree._root) == 1 + len(needed)


def count_nodes(node):
    children = [*node.children.values(), *([node.one] if node.one else [])]
    return 1 + sum(count_nodes(child) for child in children)


AddAndRemove.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestAddAndRemove = AddAndRemove.TestCase


# ---- by example ---------------------------------------------------------------------------------


def test_an_empty_tree_matches_nothing():
    assert match(SubscriptionTree(), "a.b") == []


def test_the_rest_includes_the_level_it_hangs_on():
    tree = tree_of(("a.#", 1), ("a.b.#", 2), ("#", 3))
    assert sorted(match(tree, "a")) == [1, 3]
    assert sorted(match(tree, "a.b")) == [1, 2, 3]


def test_a_leading_wildcard_does_not_reach_reserved_topics():
    tree = tree_of(("#", 1), ("+.clients", 2), ("$bus.#", 3), ("$bus.+", 4))
    assert sorted(match(tree, "$bus.clients")) == [3, 4]
    assert match(tree, "$bus") == [3]
    assert match(tree, "$other") == []


def test_an_item_comes_once_for_each_of_its_filters_that_match():
    tree = tree_of(("a.+", 1), ("a.#", 1), ("+.b", 1), ("a.b", 1), ("a.b", 1))
    assert match(tree, "a.b") == [1, 1, 1, 1]
    assert len(tree) == 4


def test_removing_what_is_not_there_changes_nothing():
    tree = tree_of(("a.b", 1))
    assert not tree.remove(TopicFilter("a.b"), 2)
    assert not tree.remove(TopicFilter("a.b.#"), 1)
    assert not tree.remove(TopicFilter("a.b.c"), 1)
    assert match(tree, "a.b") == [1]


def test_what_is_near_a_filter_is_found_level_by_level():
    tree = tree_of(("a.b", 1), ("a.b.c", 2), ("a.+.d", 3), ("a.#", 4), ("b.b", 5), ("+.b.c", 6))

    def near(text):
        return sorted(tree.near(TopicFilter(text)))

    assert near("a.b") == [1, 4]
    assert near("a.b.+") == [2, 3, 4, 6]
    assert near("a.b.#") == [1, 2, 3, 4, 6]
    assert near("+.b") == [1, 4, 5]
    assert near("#") == [1, 2, 3, 4, 5, 6]
    assert near("c") == []


def test_all_items_of_a_topic_come_in_the_order_they_were_added():
    tree = tree_of(*(("a.b", number) for number in range(100)))
    assert match(tree, "a.b") == list(range(100))
