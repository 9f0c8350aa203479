"""The items of a command that asks for more than one variant of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_remex.pytest_plugin.anchor import NODE
from pytest_remex.pytest_plugin.items import VARIANT, experiments, is_experiment, variant_of
from pytest_remex.variant import Variant


def put_variants(session: pytest.Session, asked: Variant, others: Sequence[Variant]) -> None:
    """Put each experiment of a session once for each variant of the grid that is asked for.

    Args:
        session: The session, with its experiments in order.
        asked: The variant of the items that are there.
        others: More variants, of which items are added before those.

    """
    here = experiments(session.items)
    for item in here:
        item.stash[VARIANT] = asked
    more = [in_variant(item, variant) for variant in others for item in here]
    if more:
        rest = [item for item in session.items if not is_experiment(item)]
        session.items[:] = [*rest, *more, *here]


def like(item: pytest.Function, new: pytest.Function) -> pytest.Function:
    """Return a new item as one of the variant of the grid that another item is of."""
    if NODE in item.stash:
        return in_variant(new, variant_of(item))
    new.stash[VARIANT] = variant_of(item)
    return new


def base_option(item: pytest.Item) -> str:
    """Return the option that names an experiment's base."""
    return "--remex-against" if NODE in item.stash else "--remex-base"


class _OfVariant(pytest.Function):
    """An item for an experiment of another variant, which its node id names."""

    @property
    def nodeid(self) -> str:
        """The experiment's node id, and the variant's title."""
        return f"{super().nodeid} {variant_of(self).title}"

    @property
    def id(self) -> Any:  # noqa: ANN401 - only newer releases of pytest have it
        """The same in the form that reports are made of."""
        return type(super().id).parse(self.nodeid)


def in_variant(item: pytest.Function, variant: Variant) -> pytest.Function:
    """Return another item for an experiment."""
    kind: Any = type("Function", (_OfVariant, type(item)), {})
    made: pytest.Function = kind.from_parent(
        item.parent,
        name=item.name,
        callspec=item.callspec,
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,  # noqa: SLF001 - as pytest makes its items
        originalname=item.originalname,
    )
    made.own_markers[:] = item.own_markers
    made.stash[NODE] = item.nodeid
    made.stash[VARIANT] = variant
    return made
