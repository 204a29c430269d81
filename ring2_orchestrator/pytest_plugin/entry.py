"""What pytest loads in every session: the options, and the part of the plugin a session needs.

So this loads hardly anything itself.
"""

import argparse
import sys

import pytest

from ring2_orchestrator.runs.environment import given_environment

_PARSER = pytest.StashKey[pytest.Parser]()
_GIVEN = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; `redoxa` may stand in the configuration file, too."""
    group = parser.getgroup("redoxa", "test files of which nothing changed (redoxa)")
    group.addoption(
        "--redoxa",
        action="store_true",
        default=None,
        dest="redoxa",
        help="run each test file as a recorded run of its own; skip those that passed before and "
        "of which nothing they depend on has changed",
    )
    group.addoption(
        "--no-redoxa", action="store_false", dest="redoxa", help="not even where it is configured"
    )
    group.addoption(
        "--redoxa-jobs",
        type=int,
        default=1,
        metavar="N",
        help="run up to N test files at a time (default: 1, or the N of -n)",
    )
    group.addoption(
        "--redoxa-order",
        choices=("likely", "named"),
        default="likely",
        help="run first the test files that are likeliest to fail for each second they take, or "
        "keep the order of pytest (default: likely)",
    )
    group.addoption(
        "--redoxa-why",
        action="store_true",
        help="say which test files would be skipped, and what changed for the others; run none",
    )
    group.addoption("--redoxa-child", default=None, help=argparse.SUPPRESS)
    parser.addini("redoxa", "as if --redoxa were given", type="bool", default=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> None:
    """Keep the parser, which tells files' names, and the variables before a conftest adds some."""
    early_config.stash[_PARSER] = parser
    early_config.stash[_GIVEN] = given_environment()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Take the session over if that is wanted and possible; else say why it is left as it is."""
    if config.getoption("redoxa_child") or not _is_wanted(config):
        return
    if sys.platform != "linux":
        from ring2_orchestrator.pytest_plugin.aside import Aside  # noqa: PLC0415 - seldom needed

        config.pluginmanager.register(Aside("only Linux can record what they do"), "redoxa-aside")
        return
    from ring2_orchestrator.pytest_plugin.controller import (  # noqa: PLC0415 - seldom needed
        take_over,
    )

    take_over(config, config.stash[_PARSER], config.stash[_GIVEN])


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """In the process of one test file: report to a file instead of to the terminal."""
    folder = config.getoption("redoxa_child")
    if folder:
        from ring2_orchestrator.pytest_plugin.child import Child  # noqa: PLC0415 - seldom needed

        config.pluginmanager.register(Child(config, folder), "redoxa-child")


def _is_wanted(config: pytest.Config) -> bool:
    if hasattr(config, "workerinput"):
        return False  # a worker of pytest-xdist does what it is told
    asked = config.getoption("redoxa")
    if asked is None:
        asked = config.getini("redoxa") or config.getoption("redoxa_why")
    return bool(asked)
