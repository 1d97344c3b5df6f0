"""Names that nobody may use, for the bus in memory and for a real broker."""

from __future__ import annotations

LEVEL = "a" * 64

BAD_NAMES = {
    "empty": "",
    "an empty level": "events..tick",
    "an empty first level": ".events",
    "an empty last level": "events.",
    "upper case": "events.Demo",
    "a space": "events.a b",
    "a space before": " events",
    "a tab": "events.a\tb",
    "a NUL": "events.a\0b",
    "a newline": "events.a\nb",
    "a newline behind": "events.a\n",
    "a carriage return": "events.\ra",
    "an escape sequence": "events.\x1b[2J",
    "a title sequence": "events.\x1b]0;owned\x07",
    "a C1 control": "events.\x9b2J",
    "a Cyrillic look-alike": "ev\u0435nts.tick",
    "a full-width look-alike": "events.\uff54ick",
    "a foreign digit": "events.\u0663",
    "an invisible character": "events.a\u200bb",
    "a change of direction": "events.\u202ekcit",
    "a combining accent": "events.e\u0301",
    "a level of 65": f"events.{LEVEL}a",
    "17 levels": ".".join("a" * 17),
    "256 characters": ".".join([LEVEL, LEVEL, LEVEL, "a" * 61]),
    "a megabyte of dots": "." * 500_000,
    "a rest in the middle": "events.#.tick",
    "a rest and a name": "events.tick#",
    "a wildcard and a name": "events.a+",
    "two wildcards in a level": "events.++",
    "a star": "*",
    "a star as a level": "events.*",
    "an arrow": "events.>",
    "a slash": "events/tick",
    "a dollar inside": "events.$tick",
    "a dollar alone": "$",
}
"""No topics, and no filters either."""

BAD_TOPICS = BAD_NAMES | {
    "a wildcard": "events.+",
    "a wildcard alone": "+",
    "a rest": "events.#",
    "a rest alone": "#",
}

GOOD_NAMES = {
    "a level of 64": f"events.{LEVEL}",
    "16 levels": ".".join("a" * 16),
    "255 characters": ".".join([LEVEL, LEVEL, LEVEL, "a" * 60]),
}
"""The last that is allowed."""
