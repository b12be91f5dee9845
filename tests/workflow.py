"""Runs the shell steps of a GitHub Actions job as they are written, with what the runner would set.

The expressions are evaluated by a small reader of the forms that our workflows use; a form that it does not
know is an error, so that a workflow cannot grow past what is tested.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Action's name, its `with:`, workspace -> whether it succeeded, or its outputs.
Uses = Callable[[str, Mapping[str, str], Path], bool | dict[str, str]]


@dataclass
class Job:
    """What one job of a workflow did."""

    result: str  # "success", "failure" or "skipped"
    log: str = ""
    summary: str = ""
    steps: dict[str, str] = field(default_factory=dict)  # name -> outcome
    outputs: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)  # "on" stays a word
    return found


def evaluate(text: str, context: Mapping[str, Any]) -> Any:
    """`a && b || c`, `==`, `!=`, format(), fromJSON(), always(), names and quoted text."""
    text = text.strip()
    for operator, decide in (("||", lambda a, b: a or b), ("&&", lambda a, b: a and b)):
        parts = _split(text, operator)
        if len(parts) > 1:
            value = evaluate(parts[0], context)
            for part in parts[1:]:
                value = decide(value, evaluate(part, context))
            return value
    for operator in ("==", "!="):
        parts = _split(text, operator)
        if len(parts) == 2:
            a, b = (evaluate(part, context) for part in parts)
            return (a == b) == (operator == "==")
    if text.startswith("(") and text.endswith(")"):
        return evaluate(text[1:-1], context)
    if re.fullmatch(r"'[^']*'", text):
        return text[1:-1]
    if call := re.fullmatch(r"(\w+)\((.*)\)", text):
        given = [evaluate(part, context) for part in _split(call[2], ",") if part.strip()]
        functions: dict[str, Callable[..., Any]] = {
            "always": lambda: True,
            "fromJSON": json.loads,
            "format": lambda pattern, *values: pattern.format(*values),
        }
        return functions[call[1]](*given)
    assert re.fullmatch(r"[a-z_]+(\.[\w-]+)+", text), (
        f"the workflow uses '{text}', which is not evaluated here"
    )
    value: Any = context
    for name in text.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else value


def _split(text: str, operator: str) -> list[str]:
    """At the operator, but not inside brackets or quotes."""
    parts, depth, quoted, start, i = [], 0, False, 0, 0
    while i < len(text):
        quoted ^= text[i] == "'"
        depth += (text[i] == "(") - (text[i] == ")") if not quoted else 0
        if not quoted and depth == 0 and text.startswith(operator, i):
            parts.append(text[start:i])
            start = i = i + len(operator)
            continue
        i += 1
    return [*parts, text[start:]]


def fill(text: str, context: Mapping[str, Any]) -> str:
    """Text with its `${{ }}` replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(evaluate(found[1], context)), text, flags=re.S)


def condition(text: str | None, context: Mapping[str, Any], good: bool) -> bool:
    """Of a job or step; without always() it also needs that everything before went well."""
    if text is None:
        return good
    inner = text.strip().removeprefix("${{").removesuffix("}}")
    return bool(evaluate(inner, context)) and (good or "always()" in text)


def run_job(
    workflow: Mapping[str, Any],
    name: str,
    context: dict[str, Any],
    workspace: Path,
    uses: Uses,
    environ: Mapping[str, str],
    replace: Mapping[str, str] | None = None,
) -> Job:
    """Run a job's steps in ``workspace``. ``replace`` puts another script in place of a step's."""
    job = workflow["jobs"][name]
    named = job.get("needs", [])
    needs = [context["needs"][need]["result"] for need in ([named] if isinstance(named, str) else named)]
    if not condition(job.get("if"), context, all(result == "success" for result in needs)):
        return Job("skipped")
    env = {key: fill(text, context) for key, text in (workflow.get("env") or {}).items()}
    env |= {key: fill(text, context) for key, text in (job.get("env") or {}).items()}
    done = run_steps(job["steps"], context, workspace, uses, environ, env, replace)
    done.outputs = {key: fill(text, context) for key, text in (job.get("outputs") or {}).items()}
    return done


def run_action(
    action: Mapping[str, Any],
    context: dict[str, Any],
    workspace: Path,
    uses: Uses,
    environ: Mapping[str, str],
) -> Job:
    """Run the steps of a composite action, with the defaults of its inputs."""
    given = context.get("inputs", {})
    defaults = {
        name: fill(str(entry.get("default", "")), context) for name, entry in action["inputs"].items()
    }
    inside = {**context, "inputs": {**defaults, **given}}
    done = run_steps(action["runs"]["steps"], inside, workspace, uses, environ, {})
    done.outputs = {name: fill(entry["value"], inside) for name, entry in action["outputs"].items()}
    return done


def run_steps(
    steps: list[dict[str, Any]],
    context: dict[str, Any],
    workspace: Path,
    uses: Uses,
    environ: Mapping[str, str],
    env: dict[str, str],
    replace: Mapping[str, str] | None = None,
) -> Job:
    temp = workspace.with_name(f"{workspace.name}-temp")
    temp.mkdir()
    done, good = Job("success"), True
    context["steps"] = {}
    for step in steps:
        title = step.get("name") or step.get("uses", "").partition("@")[0]
        if not condition(step.get("if"), context, good):
            done.steps[title] = "skipped"
            continue
        outputs: dict[str, str] = {}
        if "uses" in step:
            given = {key: fill(str(text), context) for key, text in (step.get("with") or {}).items()}
            passed = uses(step["uses"].partition("@")[0], given, workspace)
            outputs = passed if isinstance(passed, dict) else {}
        else:
            own = {key: fill(text, context) for key, text in (step.get("env") or {}).items()}
            script = (replace or {}).get(title, step["run"])
            passed = _bash(script, workspace, temp, {**environ, **env, **own}, env, done)
            outputs = _pairs(temp / "output")
        context["steps"][step.get("id", title)] = {"outputs": outputs}
        done.steps[title] = "success" if passed else "failure"
        good = good and (bool(passed) or step.get("continue-on-error") == "true")
    done.result = "success" if good else "failure"
    done.summary = (temp / "summary").read_text() if (temp / "summary").exists() else ""
    return done


def _pairs(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _bash(
    script: str, workspace: Path, temp: Path, environ: Mapping[str, str], env: dict[str, str], done: Job
) -> bool:
    """One script as `shell: bash` runs it; what it adds to GITHUB_ENV holds for the steps after it."""
    (temp / "script.sh").write_text(script)
    (temp / "env").write_text("")
    (temp / "output").write_text("")
    given = {"RUNNER_TEMP": str(temp), "GITHUB_ENV": str(temp / "env"), "GITHUB_WORKSPACE": str(workspace)}
    given |= {"GITHUB_STEP_SUMMARY": str(temp / "summary"), "GITHUB_ACTIONS": "true"}
    given |= {"GITHUB_OUTPUT": str(temp / "output")}
    ran = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(temp / "script.sh")],
        cwd=workspace, env={**os.environ, **given, **environ}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    done.log += ran.stdout + ran.stderr
    env |= _pairs(temp / "env")
    return ran.returncode == 0
