"""Programs that draw the pictures of the documentation: `python -m docs.pictures`."""
