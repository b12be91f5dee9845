"""Read a policy directory (YAML) into a `Policy`."""
