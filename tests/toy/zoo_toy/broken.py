"""A module of a plugin whose dependency is not installed."""

import a_dependency_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401
