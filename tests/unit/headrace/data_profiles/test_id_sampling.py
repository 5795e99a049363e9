"""Requests are chosen by their ids, the same everywhere."""

from __future__ import annotations

from headrace.data_profiles.id_sampling import is_chosen, place_of


def test_a_share_has_about_as_many_ids() -> None:
    """A tenth of ids is a tenth, within what chance does to 20,000."""
    chosen = sum(is_chosen(f"order-{number}", 0.1) for number in range(20_000))
    assert 1_800 < chosen < 2_200


def test_a_larger_share_has_all_of_a_smaller_one() -> None:
    """What one replica chooses with a small share, another chooses with a large one."""
    ids = [f"order-{number}" for number in range(1_000)]
    small = {each for each in ids if is_chosen(each, 0.2)}
    assert small
    assert small < {each for each in ids if is_chosen(each, 0.7)}


def test_all_and_nothing_are_exact() -> None:
    """A share of 1 has every id, one of 0 has none, and no id is never chosen."""
    assert all(is_chosen(f"order-{number}", 1.0) for number in range(1_000))
    assert not any(is_chosen(f"order-{number}", 0.0) for number in range(1_000))
    assert not is_chosen("", 1.0)


def test_an_id_has_the_same_place_for_ever() -> None:
    """Another place would tell callers of stored ids that they were not sampled."""
    assert round(place_of("order-17"), 6) == 0.934619
    assert place_of("\udcff") == place_of("\udcff")
