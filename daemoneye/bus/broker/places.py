"""Who has a place at the broker, and who may have one more.  Pure.

A key can be used for any number of connections, so without a share for each a single worker could
take all places and lock the operator out.  Places are counted by credential: a child that comes
back in a new incarnation does not wait for what its last one held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

from daemoneye.bus.demands import KEPT_SHARE
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Credential
from daemoneye.bus.roles import AGENT

Key = TypeVar("Key", bound=Hashable)


class Places(Generic[Key]):
    """The connections that are proven, by whose they are."""

    __slots__ = ("_credentials", "_held", "_others", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._credentials: dict[Key, Credential] = {}
        self._held: Counter[tuple[str, int]] = Counter()
        self._others = 0  # that are not of role agent

    def __len__(self) -> int:
        return len(self._credentials)

    def refusal(self, credential: Credential) -> str:
        """Why there is no place for one connection more with this credential, or ""."""
        limits = self.limits
        is_agent = credential.role == AGENT
        share = limits.agent_connections if is_agent else limits.identity_connections
        if self._held[_owner(credential)] >= share:
            return f"{credential.identity} has {share} connections already"
        kept = limits.connections // KEPT_SHARE
        if not is_agent and self._others >= limits.connections - kept:
            return f"the last {kept} places are kept for the role {AGENT}"
        return ""

    def take(self, key: Key, credential: Credential) -> None:
        """It is proven, and has its place until it leaves."""
        self._credentials[key] = credential
        self._held[_owner(credential)] += 1
        self._others += credential.role != AGENT

    def leave(self, key: Key) -> None:
        """It is gone; harmless when it has no place."""
        credential = self._credentials.pop(key, None)
        if credential is None:
            return
        owner = _owner(credential)
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._others -= credential.role != AGENT


def _owner(credential: Credential) -> tuple[str, int]:
    return credential.identity, credential.incarnation
