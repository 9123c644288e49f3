"""A background worker for customers, with taskiq and Redis. See README.md."""
