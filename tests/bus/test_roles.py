"""The built-in roles: their filters are valid, and docs/hierarchy.md shows the same table."""

import pytest

from daemoneye.bus.access import Access, AccessRule
from daemoneye.bus.roles import ROLES
from tests.support import document, table_in


@pytest.mark.parametrize("name", ROLES)
def test_every_filter_of_a_role_makes_a_rule(name):
    role = ROLES[name]
    for text in role.publishes + role.always_publishes:
        assert AccessRule(f"role:{name}", Access.WRITE_ONLY, text)
    for text in role.subscribes + role.always_subscribes:
        assert AccessRule(f"role:{name}", Access.READ_ONLY, text)


def test_every_role_says_who_has_it():
    assert set(ROLES) == {"agent", "collector", "worker", "observer"}
    assert all(role.sentence for role in ROLES.values())


def code(texts):
    return ", ".join(f"`{text}`" for text in texts) or "–"


def test_the_table_of_roles_in_the_documents_is_the_built_in_one():
    assert table_in(document("docs/hierarchy.md"), "role") == [
        [
            f"`{name}`",
            role.sentence,
            code(role.publishes),
            code(role.subscribes),
            code(role.always_publishes),
            code(role.always_subscribes),
        ]
        for name, role in ROLES.items()
    ]
