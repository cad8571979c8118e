"""The words for colours that every reader of a query must understand alike."""

from __future__ import annotations

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "reddish", "scarlet", "crimson", "maroon", "ruby"),
    "orange": ("orange", "amber", "orangey", "orangish"),
    "yellow": ("yellow", "yellowish", "lemon"),
    "green": ("green", "greenish", "lime", "olive", "emerald"),
    "cyan": ("cyan", "teal", "turquoise", "aqua"),
    "blue": ("blue", "bluish", "navy", "azure", "indigo"),
    "purple": ("purple", "violet", "purplish", "lilac", "lavender"),
    "pink": ("pink", "magenta", "fuchsia", "pinkish", "rose"),
    "white": ("white", "whitish", "ivory", "snow white"),
    "black": ("black", "blackish", "jet black"),
    "gray": ("gray", "grey", "grayish", "greyish", "steel"),
    "brown": ("brown", "brownish", "tan", "chestnut", "chocolate", "copper", "bronze", "wooden"),
    "beige": ("beige", "cream", "sand coloured", "sand colored"),
    "silver": ("silver", "silvery", "metallic"),
    "gold": ("gold", "golden", "blond", "blonde"),
}
"""Colour name to the words and phrases for it."""
