"""Checks the package, and every exchange of the tests with the sandbox, against the published OpenAPI documents."""
