"""Make `pytest --lora FILE` work in a bare clone, installed or not."""

import sys

# If the package is installed, its entry point has already loaded the plugin. Naming it again can even be an
# error: a run from another folder collects the gate from this checkout, and pytest refuses `pytest_plugins`
# in a conftest.py that is not at the root of the run.
if "lora_checks.plugin" not in sys.modules:
    pytest_plugins = ["lora_checks.plugin"]
