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


async def test_pages_of_whoever_sees_a_part_are_full_and_name_nothing_else() -> None:
    """Items that are not shown leave no gaps, and a token leads on from one that was shown."""
    token, pages = "", list[tuple[int, ...]]()
    while token or not pages:
        request = PageRequest("numbers", 3, token)
        page = await take_page(range(100), int, request, is_shown=lambda key: key % 10 == 7)
        token = page.next_token
        pages.append(page.items)
    assert [(7, 17, 27), (37, 47, 57), (67, 77, 87), (97,)] == pages
    nothing = await take_page(range(100), int, PageRequest("numbers", 3), is_shown=lambda _: False)
    assert ((), "") == (nothing.items, nothing.next_token)
