"""YAML to `Policy`."""
