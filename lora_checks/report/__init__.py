"""The document, shown. Reads the document and nothing else."""
