"""The documentation: its pages, and the program that makes a site of them. See CONTRIBUTING.md."""
