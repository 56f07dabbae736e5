from zoo.testing import conformance_tests

test_conformance = conformance_tests("vision", slow=["export-formats"])
