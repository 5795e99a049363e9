"""The models of a replica that has nothing but them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace.state.records import LoadState, ReplicaVersion


class Models:
    """A replica's models, each with one version."""

    def __init__(self, *names: str) -> None:
        self.held = {name: (ReplicaVersion(name, 1, LoadState.READY),) for name in names}
        self._changed = set(names)

    def move(self, name: str, state: LoadState | None) -> None:
        """Give the version of a model another state; None: it is gone."""
        self.held.pop(name, None)
        if state is not None:
            self.held[name] = (ReplicaVersion(name, 1, state),)
        self._changed.add(name)

    def take_changed(self) -> set[str]:
        changed, self._changed = self._changed, set()
        return changed

    def models(self) -> Collection[str]:
        return self.held.keys()

    def versions_of(self, model: str) -> Sequence[ReplicaVersion]:
        return self.held.get(model, ())

    @property
    def versions(self) -> tuple[ReplicaVersion, ...]:
        return tuple(self.held[name][0] for name in sorted(self.held))
