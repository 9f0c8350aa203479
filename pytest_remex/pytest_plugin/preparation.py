"""Run an item's part before `yield` in the scratch checkout; errors fail it without a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, full_name
from pytest_remex.hooks import GuardedHooks
from pytest_remex.known_files import KnownFiles
from pytest_remex.launch.preparation import (
    Inspect,
    by_recipe,
    check_config,
    rules_of,
    run_patch,
    warnings_of,
)
from pytest_remex.launch.preparation import prepare as prepare_experiment
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.command_line import ModeName
from pytest_remex.pytest_plugin.fixtures import arguments, is_pinned, places_of
from pytest_remex.pytest_plugin.item_outcomes import fail, failing_plainly
from pytest_remex.pytest_plugin.items import (
    base_option,
    parameters_of,
    patched_experiment,
    sweep_for,
    use_recipe,
    variant_of,
)
from pytest_remex.pytest_plugin.mode import ModeContext
from pytest_remex.pytest_plugin.project import node_of
from pytest_remex.pytest_plugin.stages import (
    ADDED,
    STAGED,
    Key,
    key_of_item,
    skip_after_left_out,
    upstream_key,
)
from pytest_remex.repo.inputs import InputRules
from pytest_remex.repo.workspace import Named, Prepared, Workspace, Workspaces
from pytest_remex.sbatch.exit_codes import hidden_exit_codes
from pytest_remex.sweep import SweepCall, has_yield, sweep_of
from pytest_remex.tables.readers import BuiltInReaders
from pytest_remex.variant import Variant

SCRIPTS = pytest.StashKey[frozenset[str]]()
"""The scripts of the sweeps in a file."""


def workspace_of(workspaces: Workspaces, item: pytest.Function, repo: Repo) -> Workspace:
    """Return the workspace that an experiment is prepared in.

    A base that the command line names and that does not exist ends the session.
    """
    variant, branch = variant_of(item), sweep_for(item).branch
    if not variant.base:
        with failing_plainly():
            return workspaces.at(repo, branch)
    with failing_plainly(item.session):
        workspaces.base(repo, variant.base, base_option(item))
    with failing_plainly():
        return workspaces.at(repo, variant.base)


@contextmanager
def checkout(workspace: Callable[[], Workspace]) -> Iterator[Path]:
    """Let an experiment use the scratch checkout of a base commit, and reset it afterwards."""
    with failing_plainly():
        scratch = workspace().scratch
    yield scratch.checkout()
    with failing_plainly():
        scratch.restore()


class Preparer:
    """Run the patches of a pytest run's experiments, and commit them.

    An error that the user can fix fails the item; files that are not part of an experiment get a
    note.
    """

    def __init__(self, context: ModeContext, workspaces: Workspaces) -> None:
        self._context = context
        self._workspaces = workspaces
        self._options = context.settings.sbatch_options()
        self._prepared: dict[tuple[Variant, Key], Prepared] = {}
        self._rules: dict[tuple[Path, object], InputRules] = {}

    def checkout(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> AbstractContextManager[Path]:
        """Let an experiment use the scratch checkout of its base commit."""
        if self._context.settings.mode is ModeName.SUBMIT and remote.host is not None:
            self._context.connections.begin(remote)  # while git makes the checkout
        return checkout(partial(workspace_of, self._workspaces, item, repo))

    def prepare(
        self, item: pytest.Function, inspect: Inspect | None = None, recipe: int = 0
    ) -> Prepared:
        """Prepare an experiment by one of the sweep's recipes.

        `inspect` gets the patch, and the original content of its files, before the checkout is
        reset.
        """
        __tracebackhide__ = True
        repo, _ = places_of(item)
        if not self._has_upstream(item):
            skip_after_left_out(item)
        workspace = workspace_of(self._workspaces, item, repo)
        path = workspace.scratch.checkout()
        if recipe:
            use_recipe(item, path, recipe)
        body = body_of(item)
        with failing_plainly():
            run_patch(body, path)
            body.close()
            experiment = patched_experiment(item, path, recipe)
            named = self._named(item, experiment)
            inputs = self._workspaces.inputs(repo, self._rules_of(item))
            prepared = prepare_experiment(named, workspace, inputs, inspect, self._options)
        for warning in warnings_of(self._workspaces.git(repo), prepared):
            self._context.terminal.note(warning.text, warning.about or None)
        # without its upstream it is refused, and so must be what comes after it
        if not recipe and STAGED in item.session.stash and self._has_upstream(item):
            self._prepared[variant_of(item), key_of_item(item)] = prepared
        return prepared

    def _rules_of(self, item: pytest.Function) -> InputRules:
        """Return the rules for the inputs of an experiment's sweep."""
        key = item.path, item.function
        if key not in self._rules:
            config = item.config
            sweeps = [config.rootpath / path for path in config.getini("remex_sweeps")]
            files, control = [item.path, *sweeps], config.getini("remex_control")
            self._rules[key] = rules_of(sweep_for(item), files, _scripts_beside(item), control)
        return self._rules[key]

    def _has_upstream(self, item: pytest.Function) -> bool:
        """Return whether what an experiment comes after, if anything, was prepared."""
        before = upstream_key(item)
        return before is None or (variant_of(item), before) in self._prepared

    def _named(self, item: pytest.Function, experiment: Experiment) -> Named:
        before = upstream_key(item)
        return Named(
            node_of(item),
            experiment,
            parameters_of(item),
            *places_of(item),
            upstream=self._prepared.get((variant_of(item), before)) if before else None,
            chosen=ADDED not in item.stash,
            variant=variant_of(item),
            pinned=is_pinned(item),
        )

    def repeat(self, item: pytest.Function) -> Prepared | None:
        """Run an experiment's patch once more; return None if it fails then."""
        try:
            return self.prepare(item)
        except (Exception, pytest.fail.Exception, pytest.skip.Exception):  # noqa: BLE001 - the first run counts
            workspace_of(self._workspaces, item, places_of(item)[0]).scratch.restore()
            return None

    def prepare_again(
        self, first: Prepared, item: pytest.Function, inspect: Inspect, recipe: int
    ) -> Prepared:
        """Prepare an experiment by another recipe; its identity is still that of the first one.

        Fails the item if both make the same files.
        """
        __tracebackhide__ = True
        made = self.prepare(item, inspect, recipe)
        with failing_plainly():
            return by_recipe(first, made, recipe)


def refuse_without_upstream(prepared: Prepared) -> None:
    """Fail the item of an experiment whose upstream could not be prepared."""
    before = prepared.experiment.comes_after
    if before is not None and prepared.upstream is None:
        fail(
            f"{full_name(before)}, which it comes after, was not prepared: see what is said of that"
        )


def _scripts_beside(item: pytest.Function) -> frozenset[str]:
    """Return the scripts of all sweeps in an item's file."""
    module = item.getparent(pytest.Module)
    if module is None:
        return frozenset()
    if SCRIPTS not in module.stash:
        sweeps = (sweep_of(member) for member in vars(module.obj).values())
        module.stash[SCRIPTS] = frozenset(sweep.script for sweep in sweeps if sweep is not None)
    return module.stash[SCRIPTS]


def body_of(item: pytest.Function) -> SweepCall:
    """Return the call of the sweep function, not yet started."""
    call_arguments = arguments(item)
    call, name = (lambda: item.obj(**call_arguments)), sweep_for(item).name
    return SweepCall(call, name, yields=has_yield(item.obj))


def use_built_in_readers(config: pytest.Config) -> None:
    """Let hooks of a pytest run read the formats that need no extension."""
    if not config.pluginmanager.has_plugin("remex-readers"):
        readers = BuiltInReaders(lambda: config.hook)
        config.pluginmanager.register(readers, "remex-readers")


class ConfigChecks:
    """Check configs with the hooks of a pytest run, and note what may hide a failure."""

    def __init__(self, context: ModeContext) -> None:
        self._hook = context.config.hook
        self._note = context.terminal.note
        self._files = KnownFiles()
        self._hooks = GuardedHooks(self._hook, self._note)
        use_built_in_readers(context.config)

    def check(self, prepared: Prepared, originals: Mapping[str, bytes]) -> None:
        """Check an experiment while its checkout is patched: see `Inspect`.

        Raises `SweepError`, with what extensions say about the parameters.
        """
        experiment = prepared.experiment
        try:
            for remark in check_config(experiment, self._hook):
                self._note(remark)
        except SweepError as error:
            raise SweepError(
                "\n".join([str(error), *self._reasons(experiment, originals)])
            ) from None
        path, script, files = experiment.path, experiment.sweep.script, self._files.now()
        for why in hidden_exit_codes(path, script, files):
            self._note(why)

    def _reasons(self, experiment: Experiment, originals: Mapping[str, bytes]) -> list[str]:
        """Return the warnings of extensions that name a parameter, and note the others."""
        facts = {"experiment": experiment, "originals": originals}
        reasons = []
        for warning in self._hooks.flat("pytest_remex_inspect", **facts):
            if any(name.rpartition(".")[2].lower() in warning.lower() for name in experiment.asked):
                reasons.append(warning)
            else:
                self._note(warning)
        return reasons
