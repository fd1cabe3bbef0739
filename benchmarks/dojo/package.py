"""What do the suites of the package agentdojo hold, as this harness sees them?

The only file that knows the package. It is loaded by name, because it is no dependency of this project:
`uv run --with agentdojo==0.1.35 ...` lays it over the project's own environment for one run.
"""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from pydantic import BaseModel, JsonValue
from pydantic_core import to_jsonable_python

VERSION: Final = "v1.2.2"
"""The newest version of the suites that the package holds."""
SUITES: Final = ("workspace", "travel", "banking", "slack")


class Task(Protocol):
    """What the package knows of a user's task and of an injection alike."""

    ID: str

    def ground_truth(self, pre_environment: Any) -> Sequence[Any]:
        """The calls that do it."""
        ...


class UserTask(Task, Protocol):
    """What a user asks for."""

    PROMPT: str
    GROUND_TRUTH_OUTPUT: str

    def init_environment(self, environment: Any) -> Any:
        """The environment, made ready for the task."""
        ...

    def utility(self, model_output: str, pre_environment: Any, post_environment: Any) -> bool:
        """Is it done, going by the environment?"""
        ...

    def utility_from_traces(
        self, model_output: str, pre_environment: Any, post_environment: Any, traces: Sequence[Any]
    ) -> bool | None:
        """Is it done, going by the calls? None: they do not say."""
        ...


class InjectionTask(Task, Protocol):
    """What an attacker wants."""

    GOAL: str

    def security(self, model_output: str, pre_environment: Any, post_environment: Any) -> bool:
        """Has he got it, going by the environment?"""
        ...

    def security_from_traces(
        self, model_output: str, pre_environment: Any, post_environment: Any, traces: Sequence[Any]
    ) -> bool | None:
        """Has he got it, going by the calls? None: they do not say."""
        ...


class Suite(Protocol):
    """One suite: an environment, tools, tasks and injections."""

    name: str
    tools: Sequence[Any]
    environment_type: type[BaseModel]

    @property
    def user_tasks(self) -> Mapping[str, UserTask]:
        """By their ids."""
        ...

    @property
    def injection_tasks(self) -> Mapping[str, InjectionTask]:
        """By their ids."""
        ...

    def load_and_inject_default_environment(self, injections: dict[str, str]) -> BaseModel:
        """A fresh environment with these texts in the places of these names."""
        ...

    def get_injection_vector_defaults(self) -> dict[str, str]:
        """Every place where others can write, with what usually stands there."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool, as a model would make it."""

    tool: str
    arguments: Mapping[str, JsonValue]

    @property
    def key(self) -> str:
        """Equal for equal calls."""
        return f"{self.tool} {json.dumps(self.arguments, sort_keys=True)}"


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a call."""

    text: str
    failed: bool


def load_suites() -> dict[str, Suite]:
    """The four suites by name.

    Raises:
        SystemExit: The package is not there.
    """
    try:
        module = importlib.import_module("agentdojo.task_suite.load_suites")
    except ModuleNotFoundError:
        run = "uv run --with agentdojo==0.1.35 python benchmarks/injections.py"
        raise SystemExit(
            f"The package agentdojo is not installed; start this by\n  {run}"
        ) from None
    found = cast("dict[str, Suite]", module.get_suites(VERSION))
    return {name: found[name] for name in SUITES}


def calls_of(task: Task, environment: BaseModel) -> tuple[Call, ...]:
    """The task's own calls in an environment."""
    truth = task.ground_truth(environment)
    return tuple(Call(str(c.function), to_jsonable_python(dict(c.args))) for c in truth)


@dataclass(frozen=True, slots=True)
class Setting:
    """An environment as a run finds it, kept so that a copy costs little, and the user's own calls in it."""

    frozen: bytes
    honest: tuple[Call, ...]

    @classmethod
    def of(cls, task: UserTask, environment: BaseModel) -> Setting:
        """The setting of a user's task in a fresh environment, which is used up."""
        frozen = pickle.dumps(task.init_environment(environment))
        return cls(frozen, calls_of(task, pickle.loads(frozen)))

    def fresh(self) -> Any:
        """A copy of the environment."""
        return pickle.loads(self.frozen)


class World:
    """An environment in which calls are made, and which remembers how it was before them."""

    def __init__(self, suite: Suite, setting: Setting) -> None:
        functions = importlib.import_module("agentdojo.functions_runtime")
        self._call: Any = functions.FunctionCall
        self._runtime: Any = functions.FunctionsRuntime(suite.tools)
        self._made: list[Any] = []
        self._setting = setting
        self.now = setting.fresh()

    def run(self, call: Call) -> Ran:
        """Make the call; its result as JSON, unless it is plain text."""
        self._made.append(self._call(function=call.tool, args=dict(call.arguments)))
        result, error = self._runtime.run_function(self.now, call.tool, dict(call.arguments))
        if error is not None:
            return Ran(str(error), failed=True)
        plain = to_jsonable_python(result)
        return Ran(plain if isinstance(plain, str) else json.dumps(plain), failed=False)

    def completed(self, task: UserTask) -> bool:
        """Does the package say that the user's task is done?"""
        given = task.GROUND_TRUTH_OUTPUT, self._setting.fresh(), self.now
        traced = task.utility_from_traces(*given, self._made)
        return bool(task.utility(*given) if traced is None else traced)

    def breached(self, task: InjectionTask) -> bool:
        """Does the package say that the attacker got what he wanted? What the model says counts for nothing."""
        given = "", self._setting.fresh(), self.now
        traced = task.security_from_traces(*given, self._made)
        try:
            return bool(task.security(*given) if traced is None else traced)
        except (LookupError, ValueError, AttributeError):  # its checks presume what was not done
            return False


def canary(vector: str) -> str:
    """The mark of a place where others can write."""
    return f"<CANARY---{vector}--->"


class Stage:
    """The settings of one user's task: the honest one, and one for each text that is injected."""

    def __init__(self, suite: Suite, task: UserTask) -> None:
        self._suite, self._task = suite, task
        self.honest = Setting.of(task, suite.load_and_inject_default_environment({}))
        self.places = self._read_places()
        """Where others can write what the task's own calls read."""
        marked = suite.load_and_inject_default_environment({v: canary(v) for v in self.places})
        self._marked = marked.model_dump_json()

    def injected(self, text: str) -> Setting:
        """With the text in every place that the task reads."""
        filled = self._marked
        for place in self.places:
            filled = filled.replace(json.dumps(canary(place))[1:-1], json.dumps(text)[1:-1])
        environment = self._suite.environment_type.model_validate_json(filled)
        return Setting.of(self._task, environment)

    def _read_places(self) -> tuple[str, ...]:
        """As the package's own attacks find them: each place is marked, and the marks are looked for."""
        vectors = self._suite.get_injection_vector_defaults()
        marked = self._suite.load_and_inject_default_environment({v: canary(v) for v in vectors})
        world = World(self._suite, setting := Setting.of(self._task, marked))
        read = "".join(world.run(call).text for call in setting.honest)
        return tuple(vector for vector in vectors if canary(vector) in read)
