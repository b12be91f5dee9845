"""The records and tools that every other package uses."""
