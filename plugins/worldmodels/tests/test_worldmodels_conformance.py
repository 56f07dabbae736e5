"""The zoo's conformance kit on everything this plugin registers."""

from zoo.testing import conformance_tests

test_conformance = conformance_tests("worldmodels", slow=["export-formats", "recipe-trains"])
