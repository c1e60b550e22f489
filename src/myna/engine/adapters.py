"""Which adapters are loaded, in which of the executor's slots, and who still uses them: pure bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass

from myna.errors import Conflict, InvalidParameter, NotFound

MAX_ADAPTERS = 64
"""Adapters of a model at once. Each is kept in memory besides the weights."""

NO_ADAPTER = -1


@dataclass(slots=True)
class Adapter:
    """A loaded adapter. ``salt`` tells it from every other that was ever loaded, also under the same name."""

    name: str
    slot: int
    salt: str
    users: int = 0
    is_retired: bool = False


class Adapters:
    """Names to adapters. One that is unloaded is not found any more; its slot is free once its last user is done."""

    def __init__(self) -> None:
        self._by_name: dict[str, Adapter] = {}
        self._slots = list(range(MAX_ADAPTERS - 1, -1, -1))  # free ones, a stack
        self._loaded = 0

    @property
    def names(self) -> list[str]:
        """Of those that can be used."""
        return sorted(self._by_name)

    def reserve(self, name: str) -> Adapter:
        """A slot for a new adapter, which is not found before `publish`.

        Raises:
            Conflict: the name is in use, or all slots are.
        """
        if name in self._by_name:
            raise Conflict(f"There is an adapter {name!r} already; unload it first.", param="adapter")
        if not self._slots:
            raise Conflict(f"{MAX_ADAPTERS} adapters are loaded already; unload one first.", param="adapter")
        self._loaded += 1
        return Adapter(name, self._slots.pop(), f"{name}\0{self._loaded}")

    def publish(self, adapter: Adapter) -> None:
        """Let it be found."""
        self._by_name[adapter.name] = adapter

    def free(self, adapter: Adapter) -> None:
        """Take back the slot of an adapter that nobody uses or finds."""
        self._slots.append(adapter.slot)

    def use(self, name: str) -> Adapter:
        """The adapter of this name, with a user more.

        Raises:
            InvalidParameter: there is none.
        """
        adapter = self._by_name.get(name)
        if adapter is None:
            known = f"loaded are {', '.join(self.names)}" if self._by_name else "none is loaded"
            raise InvalidParameter(f"There is no adapter {name!r:.80} on this model; {known}.", param="adapter")
        adapter.users += 1
        return adapter

    def leave(self, adapter: Adapter) -> bool:
        """Take a user off; whether the adapter's slot is to be cleared now."""
        adapter.users -= 1
        return adapter.is_retired and not adapter.users

    def retire(self, name: str) -> Adapter:
        """Let an adapter be found no more. Those who use it go on.

        Raises:
            NotFound: there is none.
        """
        adapter = self._by_name.pop(name, None)
        if adapter is None:
            raise NotFound(f"There is no adapter {name!r:.80} on this model.", param="adapter")
        adapter.is_retired = True
        return adapter
