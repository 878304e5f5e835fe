"""The schedule of a soak is drawn by its seed alone, and leaves no fault out."""

from tests.chaos.schedule import Fault, Network, draw


def test_the_same_seed_draws_the_same_faults() -> None:
    assert draw(7) == draw(7)
    assert draw(7, 3) == draw(7)[:3]
    assert draw(7) != draw(8)


def test_a_full_soak_has_every_fault_on_every_network_and_two_hundred_kills() -> None:
    for seed in range(5):
        events = [event for drawn in draw(seed) for event in drawn.events]

        assert {event.fault for event in events} == set(Fault)
        for fault in (Fault.CUT, Fault.DELAY, Fault.BLACK_HOLE):
            assert {event.network for event in events if event.fault is fault} == set(Network)
        assert sum(event.fault in (Fault.KILL_PRODUCER, Fault.KILL_CONSUMER) for event in events) >= 200


def test_events_stand_in_order_of_time_and_within_the_storm() -> None:
    for drawn in draw(3):
        times = [event.at_s for event in drawn.events]

        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= drawn.storm_s + 1
