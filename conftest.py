"""Makes a bare clone work: `pytest --lora FILE` in the checkout, installed or not."""

pytest_plugins = ["lora_checks.plugin"]  # a no-op where the installed entry point of this name has run
