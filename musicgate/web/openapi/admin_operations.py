"""What each route of administrators takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from musicgate.web.openapi.operation import JSON, OF_A_BODY, Access, Answer, Operation

_ACCOUNTS: Final = "/v1/admin/accounts"
_KEYS: Final = "/v1/admin/keys"


def _answer(text: str, component: str) -> Answer:
    return Answer(text=text, content={JSON: component}, headers=("Cache-Control",))


def _operation(
    identifier: str,
    summary: str,
    answers: Mapping[int, Answer],
    *,
    text: str = "",
    body: str | None = None,
    is_body_required: bool = True,
    parameters: tuple[str, ...] = (),
    errors: tuple[int, ...] = (),
) -> Operation:
    return Operation(
        id=identifier,
        tag="Administration",
        summary=summary,
        text=text,
        access=Access.ADMIN,
        parameters=parameters if body is None else (*parameters, "Content-Encoding"),
        body=body,
        is_body_required=is_body_required,
        answers=answers,
        errors=errors if body is None else (*errors, *OF_A_BODY),
    )


ADMIN_OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", _ACCOUNTS): _operation(
        "listAccounts", "List the accounts", {200: _answer("The accounts.", "AccountList")}
    ),
    ("POST", _ACCOUNTS): _operation(
        "createAccount",
        "Make an account",
        {201: _answer("The account.", "Account")},
        text="It has no key yet.",
        body="NewAccount",
        errors=(409,),
    ),
    ("GET", f"{_ACCOUNTS}/{{account}}"): _operation(
        "getAccount", "Read an account", {200: _answer("The account.", "Account")}, errors=(404,)
    ),
    ("PATCH", f"{_ACCOUNTS}/{{account}}"): _operation(
        "changeAccount",
        "Change, disable or enable an account",
        {200: _answer("The account.", "Account")},
        text="The next create call obeys; at other replicas, those of two seconds later at the latest.",
        body="AccountChange",
        errors=(404, 409),
    ),
    ("DELETE", f"{_ACCOUNTS}/{{account}}"): _operation(
        "deleteAccount",
        "Delete an account and revoke its keys",
        {204: Answer(text="It is deleted.")},
        text="Its jobs stay; an account that is made with the same name later sees them.",
        errors=(404, 409),
    ),
    ("GET", _KEYS): _operation(
        "listKeys",
        "List the keys of the store, the newest first",
        {200: _answer("The keys.", "ApiKeyList")},
        text="Keys that ended more than 90 days ago are forgotten when others are made.",
        parameters=("account",),
    ),
    ("POST", _KEYS): _operation(
        "createKey",
        "Make a key",
        {201: _answer("The key, which is shown here only.", "MadeApiKey")},
        text="`Idempotency-Key` has no meaning here: a repeated call makes another key.",
        body="NewApiKey",
        errors=(404, 409),
    ),
    ("GET", f"{_KEYS}/{{key_id}}"): _operation(
        "getKey", "Read about a key", {200: _answer("The key, without its secret.", "ApiKey")}, errors=(404,)
    ),
    ("PATCH", f"{_KEYS}/{{key_id}}"): _operation(
        "changeKey",
        "Rename a key, or change when it expires",
        {200: _answer("The key, without its secret.", "ApiKey")},
        body="ApiKeyChange",
        errors=(404, 409),
    ),
    ("POST", f"{_KEYS}/{{key_id}}/rotate"): _operation(
        "rotateKey",
        "Make a key that takes the place of another one",
        {201: _answer("The new key, which is shown here only.", "MadeApiKey")},
        text="The old one works until `grace_s` seconds have passed.",
        body="ApiKeyRotation",
        is_body_required=False,
        errors=(404, 409),
    ),
    ("POST", f"{_KEYS}/{{key_id}}/revoke"): _operation(
        "revokeKey",
        "End a key at once",
        {200: _answer("The key, without its secret.", "ApiKey")},
        text="At other replicas it may work for two seconds more.",
        body="NoFields",
        is_body_required=False,
        errors=(404, 409),
    ),
}
