"""A backend for customers, with FastAPI. See README.md."""
