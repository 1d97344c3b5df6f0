"""Parcels: counted once, held by many, closed by the last, and shares that nobody takes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.broker.parcels import NO_DESCRIPTOR, SHARES, Holding, Parcel, Parcels
from daemoneye.bus.frames import Carriage
from daemoneye.bus.limits import Limits

DESCRIPTORS = Carriage(descriptors=True, max_payload_bytes=1000)


def parcels(**limits: float) -> Parcels:
    return Parcels(Limits.of({"large_bytes": 400, "large_descriptors": 8, **limits}))


def holding(whole: Parcels, carriage: Carriage = DESCRIPTORS) -> Holding:
    here = Holding(whole)
    here.carriage = carriage
    return here


def test_a_parcel_counts_once_however_many_hold_it_and_the_last_closes_it() -> None:
    whole = parcels()
    one, two = holding(whole), holding(whole)
    parcel = whole.add(100, descriptor=5)
    for each in (one, two):
        each.take(parcel)
    whole.let_go(parcel)
    assert (whole.bytes, whole.descriptors) == (100, 1)
    one.drop(parcel)
    one.drop(parcel)
    assert whole.released == []
    two.drop(parcel)
    assert (whole.bytes, whole.descriptors, whole.released) == (0, 0, [5])


def test_a_parcel_that_came_in_chunks_has_nothing_to_close_and_is_forgotten() -> None:
    whole = parcels()
    parcel = whole.add(3)
    parcel.content = memoryview(b"abc")
    whole.let_go(parcel)
    assert (whole.bytes, whole.released) == (0, [])
    assert not parcel.holders


def test_what_was_given_is_in_flight_until_it_is_let_go_of() -> None:
    whole = parcels()
    here = holding(whole)
    parcel = whole.add(100, 5)
    here.take(parcel)
    whole.let_go(parcel)
    here.send(parcel)
    here.give(parcel)
    here.drop(parcel)
    assert (here.bytes, whole.bytes) == (100, 100)
    here.release(parcel.number)
    here.release(parcel.number)
    here.release(99)
    assert (here.bytes, whole.bytes, whole.released) == (0, 0, [5])


def test_what_went_in_chunks_is_over_when_it_is_written() -> None:
    whole = parcels()
    here = holding(whole, Carriage(False, 1000))
    parcel = whole.add(100, 5)
    here.take(parcel)
    whole.let_go(parcel)
    here.send(parcel)
    here.drop(parcel)
    assert (here.bytes, whole.released) == (0, [5])


def test_there_is_room_up_to_the_limits_and_none_past_them() -> None:
    for sizes, descriptor, room in (
        ((400,), 5, True),
        ((401,), 5, False),
        ((1,) * 8, 5, True),
        ((1,) * 9, 5, False),
        ((1,) * 9, NO_DESCRIPTOR, True),
    ):
        whole = parcels()
        for size in sizes:
            whole.add(size, descriptor)
        assert whole.has_room() is room


def wait(here: Holding, *sizes: int, descriptor: int = 5) -> list[Parcel]:
    found = [here.parcels.add(size, descriptor) for size in sizes]
    for parcel in found:
        here.take(parcel)
    return found


@pytest.mark.parametrize(
    ("sizes", "over"),
    [
        ((300,), False),
        ((300, 1), True),
        ((50, 50), False),
        ((50, 51), True),
        ((1, 1), False),
        ((1, 1, 1), True),
    ],
)
def test_more_than_a_share_may_not_wait_but_one_parcel_may_be_as_large_as_it_likes(
    sizes: tuple[int, ...], over: bool
) -> None:
    here = holding(parcels())
    wait(here, *sizes)
    assert here.is_over is over


def test_what_is_being_written_is_no_part_of_what_waits() -> None:
    here = holding(parcels())
    first, _ = wait(here, 300, 100)
    here.send(first)
    assert not here.is_over
    assert here.bytes == 400


def test_who_was_given_a_share_gets_no_more_until_something_is_let_go_of() -> None:
    for sizes in ((100,), (99, 1), (1, 1)):
        here = holding(parcels())
        seen = [here.is_sated]
        for parcel in wait(here, *sizes):
            here.send(parcel)
            here.give(parcel)
            seen.append(here.is_sated)
        here.release(next(iter(here.given)))
        assert seen == [False] * len(sizes) + [True]
        assert not here.is_sated


def test_stale_is_who_was_given_something_long_ago_or_sends_on_no_more() -> None:
    whole = parcels()
    here = holding(whole)
    for parcel in wait(here, 1, 1):
        here.send(parcel)
        here.give(parcel)
        whole.clock.pass_time(5)
    assert not here.is_stale(10)
    whole.clock.pass_time(1)
    assert here.is_stale(10)
    here.release(next(iter(here.given)))
    assert not here.is_stale(10)
    here = holding(whole)
    here.begin(7, 100)
    here.fed(7, 1)
    whole.clock.pass_time(10)
    assert not here.is_stale(10)
    whole.clock.pass_time(1)
    assert here.is_stale(10)
    here.give_up(7)
    assert not here.is_stale(10)


def test_stale_is_who_dawdles() -> None:
    whole = parcels()
    here = holding(whole)
    here.begin(7, 100)
    whole.clock.pass_time(30)
    here.fed(7, 1)
    assert not here.is_stale(10)
    whole.clock.pass_time(1)
    here.fed(7, 1)
    assert here.is_stale(10)
    assert here.arrived(7) is not None
    assert not here.is_stale(10)


def test_what_it_has_begun_to_send_may_pass_the_share_by_one_parcel() -> None:
    here = holding(parcels())
    here.begin(1, 1 << 40)
    crowding = [here.is_crowding]
    here.begin(2, 1)
    crowding.append(here.is_crowding)
    here.give_up(1)
    crowding.append(here.is_crowding)
    assert crowding == [False, True, False]


def test_what_comes_counts_as_it_comes_and_what_is_promised_for_the_owner() -> None:
    whole = parcels()
    one, two = holding(whole), holding(whole)
    two.owner = one.owner
    one.begin(1, 100)
    one.fed(1, 10)
    assert (whole.bytes, one.bytes, one.is_crowding) == (10, 10, False)
    two.begin(1, 1)
    assert (one.is_crowding, two.is_crowding) == (True, True)
    two.give_up(1)
    one.fed(1, 90)
    parcel = one.arrived(1)
    assert parcel is not None
    assert (whole.bytes, parcel.size, one.owner.promised, one.bytes) == (100, 100, 0, 0)
    one.fed(1, 5)
    whole.let_go(parcel)
    assert whole.bytes == 0


def test_a_share_is_never_nothing() -> None:
    whole = Parcels(Limits(large_bytes=1, large_descriptors=0))
    assert (whole.share_bytes, whole.share_descriptors) == (1, 1)


def assert_totals(holders: list[Holding]) -> None:
    """What is counted while parcels come and go is what a look at all of them finds."""
    for here in holders:
        for part in (here.waiting, here.sending, here.given, here.coming):
            found = list(part.values())
            assert part.bytes == sum(parcel.size for parcel in found)
            assert part.descriptors == sum(each.descriptor != NO_DESCRIPTOR for each in found)


@given(st.data())
def test_the_accounts_are_those_of_what_is_held(data: st.DataObject) -> None:
    """All is counted while somebody holds it, and closed once when nobody does."""
    whole = parcels()
    holders = [holding(whole, Carriage(descriptors, 1000)) for descriptors in (True, True, False)]
    opened: list[Parcel] = []
    for _ in range(data.draw(st.integers(0, 30))):
        here = data.draw(st.sampled_from(holders))
        match data.draw(
            st.sampled_from(["open", "send", "give", "drop", "release", "begin", "leave"])
        ):
            case "open":
                parcel = whole.add(data.draw(st.integers(1, 9)), 100 + len(opened))
                opened.append(parcel)
                for each in data.draw(st.lists(st.sampled_from(holders), unique_by=id)):
                    each.take(parcel)
                whole.let_go(parcel)
            case "send" if here.waiting:
                here.send(data.draw(st.sampled_from(list(here.waiting.values()))))
            case "give" if here.sending:
                here.give(data.draw(st.sampled_from(list(here.sending.values()))))
            case "drop" if here.waiting:
                here.drop(data.draw(st.sampled_from(list(here.waiting.values()))))
            case "release" if here.given:
                here.release(data.draw(st.sampled_from(list(here.given))))
            case "begin":
                here.begin(opened_at := len(here.coming), 3)
                here.fed(opened_at, 2)
            case "leave":
                here.leave()
        held: set[Parcel] = set()
        for each in holders:
            held |= {*each.waiting.values(), *each.sending.values(), *each.coming.values()}
            held |= set(each.given.values())
        assert whole.bytes == sum(parcel.size for parcel in held)
        assert whole.descriptors == len({each for each in opened if each in held})
        assert_totals(holders)
        gone = sorted(each.descriptor for each in opened if each not in held)
        assert sorted(whole.released) == gone
    for each in holders:
        each.close()
    assert (whole.bytes, whole.descriptors) == (0, 0)
    assert len(whole.released) == len(opened)


def test_shares_are_fewer_than_clients_that_may_be_stuck() -> None:
    whole = Parcels(Limits())
    assert whole.share_bytes * SHARES == Limits().large_bytes
    assert whole.share_descriptors * SHARES == Limits().large_descriptors
    assert whole.share_bytes >= Limits().payload_bytes
