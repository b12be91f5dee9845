"""Run the shell commands ``lora-checks COMMAND``: one module each, with HELP, `add` and `run`."""
