"""Checks of what is published: the wheel, the sdist, the changelog and the licences of the dependencies."""
