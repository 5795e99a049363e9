"""docs/settings.md has the settings as the code has them."""

from __future__ import annotations

from scripts import settings_tables


def test_tables_are_fresh() -> None:
    """Every table says what the settings classes say."""
    page = settings_tables.PAGE.read_text(encoding="utf-8")
    assert settings_tables.with_tables(page) == page


def test_every_class_has_its_table() -> None:
    """No service's settings are missing from the page."""
    page = settings_tables.PAGE.read_text(encoding="utf-8")
    found = [match[2] for match in settings_tables.TABLE.finditer(page)]
    assert sorted(settings_tables.CLASSES) == sorted(found)
