"""The run's document: built, read, journalled, compared."""
