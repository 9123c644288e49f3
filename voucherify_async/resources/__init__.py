"""The API's resources: one class per section of the API, one method per operation."""
