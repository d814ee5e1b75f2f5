"""The admin calls on authentication flows at the top level, and on required actions.

Of the flows that every realm has, the lab keeps the names alone: their steps are not simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal
from lab.keycloak.representations import EXECUTION, FLOW, REQUIRED_ACTION
from lab.keycloak.shapes import server_error
from lab.keycloak.things import Execution, Flow

if TYPE_CHECKING:
    from lab.keycloak.call import Call

__all__ = ["ROUTES"]

Json = dict[str, Any]
_CHOICES = ("REQUIRED", "ALTERNATIVE", "DISABLED")
_STEPS = {
    "idp-create-user-if-unique": ("Create User If Unique", True),
    "idp-auto-link": ("Automatically set existing user", False),
    "idp-review-profile": ("Review Profile", True),
    "idp-confirm-link": ("Confirm link existing account", False),
    "idp-email-verification": ("Verify existing account by Email", False),
    "idp-detect-existing-broker-user": ("Detect existing broker user", False),
    "allow-access-authenticator": ("Allow access", False),
    "deny-access-authenticator": ("Deny access", True),
    "auth-cookie": ("Cookie", False),
    "auth-otp-form": ("OTP Form", False),
}
"""The steps that can be added: what the server calls each, and whether it can be configured."""

_SEERS = ("view-realm", "manage-realm")


def list_flows(call: Call) -> list[Json]:
    """GET authentication/flows. Who may only query clients sees them too."""
    call.require(*_SEERS, "view-clients", "query-clients")
    return [_answer(flow) for flow in call.realm.flows.values()]


def create_flow(call: Call) -> Created:
    """POST authentication/flows."""
    call.require("manage-realm")
    body = call.given(FLOW)
    alias = body.get("alias")
    if not alias:
        raise Refusal(409, errorMessage="Failed to create flow with empty alias name")
    if alias in call.realm.flows:
        raise Refusal(409, errorMessage=f"Flow {alias} already exists")
    return _made(call, _new(call, alias, body), "authentication/flows")


def copy_flow(call: Call) -> Created:
    """POST authentication/flows/{alias}/copy: with its steps."""
    call.require("manage-realm")
    original, alias = _flow(call), str((call.body or {}).get("newName") or "")
    if alias in call.realm.flows:
        raise Refusal(409, errorMessage="New flow alias name already exists")
    flow = _new(call, alias, {"description": original.description, "providerId": original.provider})
    for one in original.executions:
        made = Execution(call.keycloak.new_id(), one.provider, one.requirement, one.priority)
        flow.executions.append(made)
    return _made(call, flow, f"authentication/flows/{original.alias}/copy")


def get_flow(call: Call) -> Json:
    """GET authentication/flows/{id}."""
    call.require(*_SEERS)
    return _answer(_flow_by_id(call, "Could not find flow with id"))


def delete_flow(call: Call) -> None:
    """DELETE authentication/flows/{id}: built-in ones stay, and those that something uses."""
    call.require("manage-realm")
    flow = _flow_by_id(call, "Flow not found")
    if flow.is_built_in:
        raise Refusal(400, error="Can't delete built in flow")
    if any(one.get("firstBrokerLoginFlowAlias") == flow.alias for one in call.realm.providers.values()):
        raise server_error()
    del call.realm.flows[flow.alias]
    call.record("DELETE", "AUTH_FLOW", f"authentication/flows/{flow.id}")


def list_executions(call: Call) -> list[Json]:
    """GET authentication/flows/{alias}/executions."""
    call.require(*_SEERS)
    flow = _flow(call)
    if flow.is_built_in:
        raise Refusal(501, error="the lab does not keep the steps of built-in flows")
    return [_step(one, index) for index, one in enumerate(flow.executions)]


def add_execution(call: Call) -> Created:
    """POST authentication/flows/{alias}/executions/execution: at the end, and disabled."""
    call.require("manage-realm")
    flow = call.realm.flows.get(call.names["alias"])
    if flow is None:
        raise Refusal(400, error="Parent flow doesn't exist")
    provider = str((call.body or {}).get("provider") or "")
    if provider not in _STEPS:
        raise Refusal(400, error=f"No authentication provider found for id: {provider}")
    priority = max((one.priority for one in flow.executions), default=-1) + 1
    made = Execution(call.keycloak.new_id(), provider, "DISABLED", priority)
    flow.executions.append(made)
    path = f"authentication/flows/{flow.alias}/executions/execution"
    call.record("CREATE", "AUTH_EXECUTION", path, of=call.body)
    return Created(f"authentication/executions/{made.id}")


def update_execution(call: Call) -> None:
    """PUT authentication/flows/{alias}/executions: the one that the body names."""
    call.require("manage-realm")
    flow, body = _flow(call), call.given(EXECUTION)
    found = next((one for one in flow.executions if one.id == body.get("id")), None)
    if found is None:
        raise Refusal(404, error="Illegal execution")
    if body.get("requirement") not in _CHOICES:
        raise server_error()
    found.requirement = body["requirement"]
    found.priority = body.get("priority", found.priority)
    flow.executions.sort(key=lambda one: one.priority)
    call.record("UPDATE", "AUTH_EXECUTION", f"authentication/flows/{flow.alias}/executions", of=call.body)


def delete_execution(call: Call) -> None:
    """DELETE authentication/executions/{id}."""
    call.require("manage-realm")
    wanted = call.names["execution"]
    for flow in call.realm.flows.values():
        kept = [one for one in flow.executions if one.id != wanted]
        if len(kept) < len(flow.executions):
            flow.executions = kept
            call.record("DELETE", "AUTH_EXECUTION", f"authentication/executions/{wanted}")
            return
    raise Refusal(404, error="Illegal execution")


def list_actions(call: Call) -> list[Json]:
    """GET authentication/required-actions, in their order."""
    call.require(*_SEERS, "view-users", "query-users")
    return sorted(call.realm.required_actions, key=lambda one: int(one["priority"]))


def get_action(call: Call) -> Json:
    """GET authentication/required-actions/{alias}."""
    call.require(*_SEERS)
    found = _action(call)
    return {name: value for name, value in found.items() if value is not None}


def update_action(call: Call) -> None:
    """PUT authentication/required-actions/{alias}: replaced by what is given, the alias too."""
    call.require("manage-realm")
    found = _action(call)
    body = call.given(REQUIRED_ACTION)
    found |= {
        "alias": body.get("alias"),
        "name": body.get("name"),
        "enabled": body.get("enabled", False),
        "defaultAction": body.get("defaultAction", False),
        "priority": body.get("priority", 0),
        "config": body.get("config", {}),
    }
    alias = call.names["action"]
    call.record("UPDATE", "REQUIRED_ACTION", f"authentication/required-actions/{alias}", of=call.body)


def _new(call: Call, alias: str, body: Json) -> Flow:
    flow = Flow(call.keycloak.new_id(), alias, body.get("description", ""), body.get("providerId", ""))
    flow.is_built_in = body.get("builtIn", False)
    call.realm.flows[alias] = flow
    return flow


def _made(call: Call, flow: Flow, below: str) -> Created:
    is_copy = below.endswith("/copy")
    path = f"authentication/flows/{flow.id}"
    call.record("CREATE", "AUTH_FLOW", below if is_copy else path, of=call.body)
    return Created(f"{below}/{flow.id}")


def _flow(call: Call) -> Flow:
    found = call.realm.flows.get(call.names["alias"])
    if found is None:
        raise Refusal(404, error="Flow not found")
    return found


def _flow_by_id(call: Call, otherwise: str) -> Flow:
    wanted = call.names["flow"]
    found = next((one for one in call.realm.flows.values() if one.id == wanted), None)
    if found is None:
        raise Refusal(404, error=otherwise)
    return found


def _action(call: Call) -> Json:
    wanted = call.names["action"]
    found = next((one for one in call.realm.required_actions if one["alias"] == wanted), None)
    if found is None:
        raise Refusal(404, error="Failed to find required action")
    return found


def _answer(flow: Flow) -> Json:
    answer: Json = {"id": flow.id, "alias": flow.alias}
    if flow.description:
        answer["description"] = flow.description
    steps = [
        {
            "authenticator": one.provider,
            "authenticatorFlow": False,
            "requirement": one.requirement,
            "priority": one.priority,
            "autheticatorFlow": False,
            "userSetupAllowed": False,
        }
        for one in flow.executions
    ]
    facts = {"providerId": flow.provider, "topLevel": True, "builtIn": flow.is_built_in}
    return answer | facts | {"authenticationExecutions": steps}


def _step(one: Execution, index: int) -> Json:
    name, is_configurable = _STEPS[one.provider]
    return {
        "id": one.id,
        "requirement": one.requirement,
        "displayName": name,
        "requirementChoices": list(_CHOICES),
        "configurable": is_configurable,
        "providerId": one.provider,
        "level": 0,
        "index": index,
        "priority": one.priority,
    }


_FLOWS, _ACTIONS = "/authentication/flows", "/authentication/required-actions"
ROUTES = (
    ("GET", _FLOWS, list_flows),
    ("POST", _FLOWS, create_flow),
    ("POST", f"{_FLOWS}/{{alias}}/copy", copy_flow),
    ("GET", f"{_FLOWS}/{{flow}}", get_flow),
    ("DELETE", f"{_FLOWS}/{{flow}}", delete_flow),
    ("GET", f"{_FLOWS}/{{alias}}/executions", list_executions),
    ("PUT", f"{_FLOWS}/{{alias}}/executions", update_execution),
    ("POST", f"{_FLOWS}/{{alias}}/executions/execution", add_execution),
    ("DELETE", "/authentication/executions/{execution}", delete_execution),
    ("GET", _ACTIONS, list_actions),
    ("GET", f"{_ACTIONS}/{{action}}", get_action),
    ("PUT", f"{_ACTIONS}/{{action}}", update_action),
)
