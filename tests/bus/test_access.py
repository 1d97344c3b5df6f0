"""Rights on the bus: what each role may do, which rule decided, and what is cut or read instead."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemoneye.bus import hierarchy
from daemoneye.bus.access import (
    DENY_BY_DEFAULT,
    KEPT_RIGHTS,
    Access,
    AccessList,
    AccessRule,
    Declared,
    Identity,
    Verdict,
)
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import ConfigError, InvalidTopic

PROCMOND = Identity("procmond", "collector", "process", 1, 100)
OPERATOR = Identity("operator", "agent")
SUPERVISOR = Identity("supervisor", "agent")
WORKER = Identity("resizer", "worker")
OBSERVER = Identity("screen", "observer")
STRANGER = Identity("a", "nobody")

BUILT_IN = AccessList()
SILENT = Declared()


def filters(*texts):
    return tuple(TopicFilter(text) for text in texts)


def rules(*lines):
    """Rules for the identity `a`: 'allow foo.+', 'deny foo.#', reading and writing."""
    words = (line.split() for line in lines)
    return AccessList(
        AccessRule("a", Access.READ_WRITE, text, deny=verb == "deny") for verb, text in words
    )


def subscribing(access, text, identity=STRANGER, declared=SILENT):
    return access.may_subscribe(identity, declared, TopicFilter(text))


# ---- the built-in roles -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "topic", "allowed"),
    [
        (PROCMOND, "events.process.lifecycle", True),
        (PROCMOND, "events.process", True),
        (PROCMOND, "events.process.a.b.c", True),
        (PROCMOND, "events.network.lifecycle", False),
        (PROCMOND, "events", False),
        (PROCMOND, "control.health.heartbeat", True),
        (PROCMOND, "control.health.status.procmond", True),
        (PROCMOND, "control.health.status.netmond", False),
        (PROCMOND, "control.health.status.procmond.x", False),
        (PROCMOND, "control.health.status", False),
        (PROCMOND, "control.health.diagnostics", True),
        (PROCMOND, "control.collector.lifecycle", False),
        (PROCMOND, "control.collector.task.process", False),
        (PROCMOND, "control.admin.x", False),
        (PROCMOND, "$bus.clients.procmond", False),
        (OPERATOR, "events.process.lifecycle", True),
        (OPERATOR, "control.collector.lifecycle", True),
        (OPERATOR, "control.admin.x", True),
        (OPERATOR, "anything.at-all", True),
        (OPERATOR, "$bus.clients.operator", False),
        (OPERATOR, "$bus", False),
        (OPERATOR, "$else", False),
        (SUPERVISOR, "control.health.status.procmond", True),
        (SUPERVISOR, "$bus.statistics", False),
        (WORKER, "control.health.heartbeat", False),
        (WORKER, "events.demo.tick", False),
        (OBSERVER, "events.process.lifecycle", False),
        (OBSERVER, "control.health.heartbeat", False),
        (STRANGER, "events.process.lifecycle", False),
    ],
    ids=str,
)
def test_what_a_role_may_publish(identity, topic, allowed):
    decision = BUILT_IN.may_publish(identity, SILENT, topic)
    assert decision.allowed is allowed
    assert decision.rule


@pytest.mark.parametrize(
    ("identity", "text", "verdict"),
    [
        (PROCMOND, "control.collector.lifecycle", "granted"),
        (PROCMOND, "control.collector.config", "granted"),
        (PROCMOND, "control.collector.task.process", "granted"),
        (PROCMOND, "control.collector.task.network", "refused"),
        (PROCMOND, "control.collector.#", "refused"),
        (PROCMOND, "control.health.diagnostics", "granted"),
        (PROCMOND, "control.health.#", "refused"),
        (PROCMOND, "events.process.#", "refused"),
        (PROCMOND, "$bus.#", "refused"),
        (OPERATOR, "#", "granted"),
        (OPERATOR, "events.#", "granted"),
        (OPERATOR, "control.admin.#", "granted"),
        (OPERATOR, "$bus.#", "granted"),
        (OPERATOR, "$bus.clients.+", "granted"),
        (WORKER, "events.#", "refused"),
        (OBSERVER, "events.#", "granted"),
        (OBSERVER, "events.+.lifecycle", "granted"),
        (OBSERVER, "control.health.status", "granted"),
        (OBSERVER, "control.health.status.#", "granted"),
        (OBSERVER, "control.health.heartbeat", "refused"),
        (OBSERVER, "control.#", "refused"),
        (OBSERVER, "#", "refused"),
        (STRANGER, "events.#", "refused"),
    ],
    ids=str,
)
def test_what_a_role_may_read(identity, text, verdict):
    decision = subscribing(BUILT_IN, text, identity)
    assert decision.verdict == verdict
    assert decision.rule


def test_a_collector_without_a_kind_has_no_events_of_its_own():
    nameless = Identity("x", "collector")
    assert not BUILT_IN.may_publish(nameless, SILENT, "events.process.lifecycle").allowed
    assert BUILT_IN.may_publish(nameless, SILENT, "control.health.status.x").allowed


def collectors_named_in(text):
    """The built-in collectors that `publisher` or `subscriber` of a declared topic speaks of."""
    names = dict(zip(("procmond", "netmond", "fsmond", "perfmond"), hierarchy.KINDS, strict=True))
    for name, kind in names.items():
        if text in (name, "collectors", f"{kind} collectors"):
            yield Identity(name, "collector", kind)


@pytest.mark.parametrize("declared", hierarchy.TOPICS, ids=lambda declared: declared.text)
def test_who_is_declared_to_speak_or_listen_on_a_topic_may(declared):
    topic = declared.filter.text.replace("#", "x")
    for collector in collectors_named_in(declared.publisher):
        assert BUILT_IN.may_publish(collector, SILENT, topic).allowed
    for collector in collectors_named_in(declared.subscriber):
        assert subscribing(BUILT_IN, topic, collector).allowed
    if "agent" in declared.publisher:
        assert BUILT_IN.may_publish(OPERATOR, SILENT, topic.replace("+", "x")).allowed
    if "agent" in declared.subscriber:
        assert subscribing(BUILT_IN, declared.filter.text, OPERATOR).allowed
    if "observers" in declared.subscriber:
        assert subscribing(BUILT_IN, declared.filter.text, OBSERVER).allowed


# ---- what a spec declares -----------------------------------------------------------------------


def test_a_collectors_declared_publishes_replace_only_its_events():
    declared = Declared(publishes=filters("events.process.lifecycle"))

    def allowed(topic):
        return BUILT_IN.may_publish(PROCMOND, declared, topic).allowed

    assert allowed("events.process.lifecycle")
    assert not allowed("events.process.batch")
    assert allowed("control.health.heartbeat")
    assert allowed("control.health.status.procmond")
    assert subscribing(BUILT_IN, "control.collector.task.process", PROCMOND, declared).allowed


def test_a_collectors_declared_subscribes_replace_only_its_tasks():
    declared = Declared(subscribes=filters("events.network.#"))

    def verdict(text):
        return subscribing(BUILT_IN, text, PROCMOND, declared).verdict

    assert verdict("events.network.lifecycle") == "granted"
    assert verdict("control.collector.task.process") == "refused"
    assert verdict("control.collector.config") == "granted"
    assert BUILT_IN.may_publish(PROCMOND, declared, "events.process.lifecycle").allowed


def test_declaring_nothing_is_not_the_same_as_not_declaring():
    mute = Declared(publishes=(), subscribes=())
    assert not BUILT_IN.may_publish(PROCMOND, mute, "events.process.lifecycle").allowed
    assert BUILT_IN.may_publish(PROCMOND, mute, "control.health.heartbeat").allowed


def test_a_worker_has_what_its_spec_declares_and_nothing_else():
    declared = Declared(publishes=filters("events.images.#"), subscribes=filters("jobs.+"))
    assert BUILT_IN.may_publish(WORKER, declared, "events.images.done").allowed
    assert not BUILT_IN.may_publish(WORKER, declared, "jobs.a").allowed
    assert subscribing(BUILT_IN, "jobs.+", WORKER, declared).allowed
    assert not subscribing(BUILT_IN, "events.images.#", WORKER, declared).allowed


@pytest.mark.parametrize("topic", ["$bus.clients.a", "control.admin.x"])
def test_a_declaration_does_not_reach_what_is_reserved(topic):
    greedy = Declared(publishes=filters("#", "$bus.#", "control.admin.#"))
    decision = BUILT_IN.may_publish(WORKER, greedy, topic)
    assert not decision.allowed
    assert decision.rule.endswith("(built in)")


# ---- granted, narrowed, refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "asked", "verdict"),
    [
        ("foo.+", "foo.#", "refused"),
        ("+", "#", "refused"),
        ("foo.#", "foo", "granted"),
        ("foo.+", "foo", "refused"),
        ("foo.+", "foo.+", "granted"),
        ("foo.#", "foo.+.bar", "granted"),
        ("#", "$bus.x", "refused"),
    ],
)
def test_b3_a_filter_is_granted_when_an_allowed_one_covers_it(allow, asked, verdict):
    assert subscribing(rules(f"allow {allow}"), asked).verdict == verdict


def test_b4_a_denied_part_is_cut_out_and_named():
    access = rules("allow events.#", "deny events.secret.#")
    decision = subscribing(access, "events.#")
    assert decision.verdict == "narrowed"
    assert decision.allowed
    assert decision.cut == filters("events.secret.#")
    assert decision.rule == "deny a read-write events.secret.# (access list)"
    assert str(decision) == f"narrowed: {decision.rule}; without events.secret.#"
    assert access.may_receive(STRANGER, SILENT, "events.open").allowed
    assert not access.may_receive(STRANGER, SILENT, "events.secret").allowed
    assert not access.may_receive(STRANGER, SILENT, "events.secret.x.y").allowed


def test_b4_what_lies_within_a_denied_part_is_refused_by_its_rule():
    access = rules("allow events.#", "deny events.secret.#")
    decision = subscribing(access, "events.secret.x")
    assert decision.verdict == "refused"
    assert decision.rule == "deny a read-write events.secret.# (access list)"
    assert decision.readable == filters("events.#")


def test_only_the_part_that_meets_the_asked_filter_is_cut():
    access = rules("allow events.#", "deny +.secret.#", "deny other.#")
    assert subscribing(access, "events.+.x").cut == filters("events.secret.x")


def test_deny_beats_allow_whatever_stands_first():
    for lines in (("allow a.#", "deny a.b"), ("deny a.b", "allow a.#")):
        assert not rules(*lines).may_publish(STRANGER, SILENT, "a.b").allowed


def test_a_refusal_says_what_may_be_read_or_published_instead():
    access = rules("allow foo.+", "allow bar.#", "deny bar.#")
    decision = subscribing(access, "foo.#")
    assert decision.rule == DENY_BY_DEFAULT
    assert decision.readable == filters("foo.+")
    assert decision.hint == "may read foo.+"
    assert access.may_publish(STRANGER, SILENT, "x").hint == "may publish on foo.+"
    denied = subscribing(rules("allow a.#", "deny a.b.#", "deny c.#"), "a.b.x")
    assert denied.hint == "may read a.#, but not a.b.#"
    assert str(decision) == "refused: no rule allows it (may read foo.+)"


def test_one_who_may_do_nothing_is_told_so():
    assert BUILT_IN.may_publish(WORKER, SILENT, "x").hint == "may publish on nothing"


def test_a_long_list_of_rights_is_cut_in_words_and_complete_as_values():
    declared = Declared(subscribes=filters(*(f"jobs.a{number}" for number in range(15))))
    decision = subscribing(BUILT_IN, "jobs.#", WORKER, declared)
    assert decision.hint.endswith("jobs.a11 and 3 more")
    assert decision.readable == declared.subscribes


def test_the_rule_that_decided_is_named_as_it_was_written():
    def rule_for(topic):
        return BUILT_IN.may_publish(PROCMOND, SILENT, topic).rule

    assert rule_for("events.process.x") == (
        "allow role:collector write-only events.{kind}.# (built in)"
    )
    assert rule_for("control.admin.x") == "restrict * control.admin.# to role:agent (built in)"
    assert rule_for("$bus.x") == "deny * write-only $bus.# (built in)"
    declared = Declared(publishes=filters("jobs.#"))
    assert BUILT_IN.may_publish(WORKER, declared, "jobs.a").rule == (
        "allow identity:resizer write-only jobs.# (declared)"
    )


# ---- rules --------------------------------------------------------------------------------------


def test_a_placeholder_is_filled_level_by_level():
    access = AccessList([AccessRule("role:nobody", "read-only", "health.{id}.#")])
    assert subscribing(access, "health.a.#").allowed
    assert not subscribing(access, "health.ab.#").allowed
    assert subscribing(access, "health.ab.#", Identity("ab", "nobody")).allowed


def test_all_placeholders_are_proven_facts():
    access = AccessList([AccessRule("*", "write-only", "x.{role}.{kind}.{id}")])
    assert access.may_publish(PROCMOND, SILENT, "x.collector.process.procmond").allowed
    assert not access.may_publish(STRANGER, SILENT, "x.nobody.process.a").allowed


@pytest.mark.parametrize("who", ["a", "identity:a", "role:nobody", "*"])
def test_a_rule_names_an_identity_a_role_or_everybody(who):
    access = AccessList([AccessRule(who, Access.READ_ONLY, "x")])
    assert subscribing(access, "x").allowed
    assert not access.may_publish(STRANGER, SILENT, "x").allowed
    assert subscribing(access, "x", WORKER).allowed is (who == "*")


def test_an_identity_is_no_role():
    assert not subscribing(AccessList([AccessRule("role:a", Access.READ_ONLY, "x")]), "x").allowed


def test_what_is_restricted_is_for_agents_only():
    access = AccessList(
        [AccessRule("*", "restricted", "vault.#"), AccessRule("a", "read-write", "vault.#")]
    )
    assert access.may_publish(OPERATOR, SILENT, "vault.x").allowed
    assert subscribing(access, "vault.#", OPERATOR).allowed
    assert not access.may_publish(STRANGER, SILENT, "vault.x").allowed
    assert not subscribing(access, "vault.#").allowed
    assert subscribing(access, "vault.#").rule == "restrict * vault.# to role:agent (access list)"


def test_new_rules_are_a_new_list():
    before, after = rules("allow x"), rules("allow x", "deny x")
    assert before.may_receive(STRANGER, SILENT, "x").allowed
    assert not after.may_receive(STRANGER, SILENT, "x").allowed


@pytest.mark.parametrize(
    ("who", "access", "text", "deny", "says"),
    [
        ("", "read-only", "a", False, "nobody"),
        ("role:", "read-only", "a", False, "nobody"),
        ("group:a", "read-only", "a", False, "nobody"),
        ("role:identity:a", "read-only", "a", False, "nobody"),
        ("A\x1b", "read-only", "a", False, r"'A\x1b'"),
        ("a", "readonly", "a", False, "one of read-only, write-only"),
        ("a", "read-only", "a.*", False, "`+` is one level"),
        ("a", "read-only", "a.{name}", False, "{id}, {kind} or {role}"),
        ("a", "read-only", "a.x{id}", False, "{id}, {kind} or {role}"),
        ("a", "restricted", "a", True, "both denies and restricts"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(who, access, text, deny, says):
    with pytest.raises(ConfigError) as refused:
        AccessRule(who, access, text, deny)
    assert says in str(refused.value)


@pytest.mark.parametrize("name", ["", "a.b", "+", "#", "A", "a b", "a\n", "é", "x" * 65, "{id}"])
def test_an_identity_with_another_name_cannot_be_minted(name):
    with pytest.raises(ConfigError):
        Identity(name, "worker")
    with pytest.raises(ConfigError):
        Identity("a", name)
    with pytest.raises(ConfigError):
        Identity("a", "collector", name or "A")


def test_asking_about_what_is_no_topic_is_an_error_and_no_decision():
    with pytest.raises(InvalidTopic):
        BUILT_IN.may_publish(OPERATOR, SILENT, "events.+")


def test_the_memory_of_rights_is_bounded():
    access = AccessList()
    for number in range(KEPT_RIGHTS + 10):
        access.may_publish(Identity(f"i{number}", "worker"), SILENT, "a")
    assert len(access._kept) <= KEPT_RIGHTS


# ---- any rules at all ---------------------------------------------------------------------------

TOPICS = [
    ".".join((first, *rest))
    for length in range(4)
    for first in ("a", "b", "$a")
    for rest in itertools.product("abc", repeat=length)
]


@st.composite
def filter_texts(draw):
    levels = [draw(st.sampled_from(["a", "b", "+", "$a"]))]
    levels += draw(st.lists(st.sampled_from(["a", "b", "+"]), max_size=2))
    if draw(st.booleans()):
        levels = [*levels, "#"] if draw(st.booleans()) else [*levels[:-1], "#"]
    return ".".join(levels)


lines = st.lists(
    st.tuples(st.sampled_from(["allow", "allow", "deny"]), filter_texts()).map(" ".join),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(lines, filter_texts())
def test_what_is_subscribed_is_received_except_exactly_the_cut(written, text):
    access, asked = rules(*written), TopicFilter(text)
    decision = access.may_subscribe(STRANGER, SILENT, asked)
    if not decision.allowed:
        return
    assert bool(decision.cut) is (decision.verdict is Verdict.NARROWED)
    for topic in TOPICS:
        if asked.matches(topic):
            cut = any(each.matches(topic) for each in decision.cut)
            assert access.may_receive(STRANGER, SILENT, topic).allowed is not cut


@settings(max_examples=100, deadline=None)
@given(lines)
def test_what_may_be_received_is_what_some_rule_allows_and_none_denies(written):
    access = rules(*written)
    allows = [TopicFilter(line.split()[1]) for line in written if line.startswith("allow")]
    denies = [TopicFilter(line.split()[1]) for line in written if line.startswith("deny")]
    for topic in TOPICS:
        expected = any(f.matches(topic) for f in allows) and not any(
            f.matches(topic) for f in denies
        )
        assert access.may_receive(STRANGER, SILENT, topic).allowed is expected


@settings(max_examples=100, deadline=None)
@given(lines, filter_texts())
def test_a_refused_filter_was_covered_by_no_rule_or_denied_as_a_whole(written, text):
    access, asked = rules(*written), TopicFilter(text)
    decision = access.may_subscribe(STRANGER, SILENT, asked)
    if decision.allowed:
        return
    if decision.rule == DENY_BY_DEFAULT:
        allows = [TopicFilter(line.split()[1]) for line in written if line.startswith("allow")]
        assert not any(allow.covers(asked) for allow in allows)
    else:
        received = [t for t in TOPICS if access.may_receive(STRANGER, SILENT, t).allowed]
        assert not any(asked.matches(topic) for topic in received)
