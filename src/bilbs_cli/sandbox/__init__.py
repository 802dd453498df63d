"""The embedded support desk for drills, the README and the tests: the whole contract over SQLite, and nobody real."""

from __future__ import annotations

from bilbs_cli.errors import BilbsError


def not_installed(error: ImportError) -> BilbsError:
    """Return the error of an installation without the extra `sandbox`."""
    return BilbsError(
        f"the sandbox needs {error.name or 'packages'}, which is not installed",
        code="sandbox-not-installed",
        next="pip install 'bilbs-cli[sandbox]'",
    )
