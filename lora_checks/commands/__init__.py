"""``python -m lora_checks COMMAND``: one command a module, each with HELP, `add` and `run`."""
