"""Settings: the part of a child spec that may change while the child runs."""

from __future__ import annotations

import json
from collections.abc import Mapping

Settings = Mapping[str, object]
"""Settings of a child: JSON values by name."""

MAX_SETTINGS_CHARACTERS = 32 << 10
"""Of settings as JSON: they travel in spawn arguments, which have to fit into a pipe's buffer."""


def settings_fault(settings: Settings) -> str:
    """Why these cannot be anybody's settings; empty when they can."""
    try:
        size = len(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        return f"expected what JSON knows: {error}"
    if size > MAX_SETTINGS_CHARACTERS:
        return f"expected at most {MAX_SETTINGS_CHARACTERS} characters of JSON, found {size}"
    return ""
