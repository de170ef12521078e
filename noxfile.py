"""The four verbs: ``nox -s tests``, ``slow``, ``lint`` and ``docs``, each in a venv of its own."""

from pathlib import Path

import nox

DOCS = [
    "tests/test_docs.py",
    "tests/test_architecture.py",
    "tests/test_glossary.py",
    "tests/test_errors_documented.py",
    "tests/test_findings_documented.py",
    "tests/test_python_documented.py",
    "tests/cli/test_reference.py",
    "tests/service/test_contract.py",
]

nox.options.sessions = ["tests", "lint"]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that ``pytest`` runs; words after ``--`` are for pytest."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes, and the laws with all their examples.

    They need Debian's packages, too: see ``.ci/run``.
    """
    session.install("-e", ".[slow]")
    which = "slow or hypothesis and not (faults or ceph)"
    session.run("pytest", "-m", which, *session.posargs, env={"LEDGER_TEST_THOROUGH": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the walls between the rooms."""
    session.install("-e", ".[fast,lint,pkcs11,serve]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    root = str(Path.cwd())
    with session.chdir(session.create_tmp()):  # as a package, and not as a project of its own
        session.run(
            "pyright", "--verifytypes", "ledger", "--ignoreexternal", env={"PYTHONPATH": root}
        )
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example of the docs, and hold the reference to the code."""
    session.install("-e", ".[dev]")
    session.run("pytest", "-n", "2", *DOCS, *session.posargs)
