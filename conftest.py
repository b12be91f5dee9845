"""Makes a bare clone work: `pytest --lora FILE` in the checkout, installed or not."""

import sys

# Where the package is installed its entry point has loaded the plugin already. Naming it again is then not
# only needless: a run from another folder collects the gate from this checkout, and pytest refuses
# `pytest_plugins` in a conftest.py that is not at the root of the run.
if "lora_checks.plugin" not in sys.modules:
    pytest_plugins = ["lora_checks.plugin"]
