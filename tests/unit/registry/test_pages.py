"""Pages of lists, and how large they become."""

from __future__ import annotations

from headrace_registry.domain.pages import PageRequest, take_page


async def test_a_page_ends_before_it_is_too_large_for_a_client() -> None:
    """One item is told however large it is; what did not fit is on the pages after it."""
    sizes = {"a": 1 << 20, "b": 2 << 20, "c": 1, "d": 9 << 20, "e": 1}
    token, pages = "", list[str]()
    while token or not pages:
        page = await take_page("abcde", str, PageRequest("letters", 4, token), sizes.__getitem__)
        token = page.next_token
        pages.append("".join(page.items))
    assert ["ab", "c", "d", "e"] == pages


async def test_a_page_finds_its_own_items_alone() -> None:
    """A list of 100,000 models costs what one of its pages shows."""
    found: list[int] = []

    def find(key: int) -> int:
        found.append(key)
        return key

    first = await take_page(range(100_000), find, PageRequest("numbers", 3))
    second = await take_page(range(100_000), find, PageRequest("numbers", 2, first.next_token))
    assert ((0, 1, 2), (3, 4)) == (first.items, second.items)
    assert list(range(5)) == found
