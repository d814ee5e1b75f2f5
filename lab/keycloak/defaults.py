"""What a new realm looks like, as Keycloak 26.7.3 answers it.

Of the settings, those that somebody reads here.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "INCLUDED_MANAGEMENT_ROLES",
    "MANAGEMENT_ROLES",
    "REALM_ATTRIBUTES",
    "REALM_SETTINGS",
    "USER_PROFILE",
]

REALM_SETTINGS: dict[str, Any] = {
    "enabled": False,
    "accessTokenLifespan": 300,
    "ssoSessionIdleTimeout": 1800,
    "ssoSessionMaxLifespan": 36000,
    "offlineSessionIdleTimeout": 2592000,
    "sslRequired": "external",
    "registrationAllowed": False,
    "registrationEmailAsUsername": False,
    "rememberMe": False,
    "verifyEmail": False,
    "loginWithEmailAllowed": True,
    "duplicateEmailsAllowed": False,
    "resetPasswordAllowed": False,
    "editUsernameAllowed": False,
    "bruteForceProtected": False,
    "permanentLockout": False,
    "maxTemporaryLockouts": 0,
    "bruteForceStrategy": "MULTIPLE",
    "maxFailureWaitSeconds": 900,
    "minimumQuickLoginWaitSeconds": 60,
    "waitIncrementSeconds": 60,
    "quickLoginCheckMilliSeconds": 1000,
    "maxDeltaTimeSeconds": 43200,
    "failureFactor": 30,
    "otpPolicyType": "totp",
    "otpPolicyAlgorithm": "HmacSHA1",
    "otpPolicyDigits": 6,
    "otpPolicyPeriod": 30,
    "smtpServer": {},
    "eventsEnabled": False,
    "adminEventsEnabled": False,
    "adminEventsDetailsEnabled": False,
    "organizationsEnabled": False,
    "supportedLocales": [],
}

REALM_ATTRIBUTES = {
    "cibaBackchannelTokenDeliveryMode": "poll",
    "cibaExpiresIn": "120",
    "cibaAuthRequestedUserHint": "login_hint",
    "cibaInterval": "5",
    "oauth2DeviceCodeLifespan": "600",
    "oauth2DevicePollingInterval": "5",
    "parRequestUriLifespan": "60",
    "realmReusableOtpCode": "false",
}

_EVERYBODY = {"view": ["admin", "user"], "edit": ["admin", "user"]}
_PERSON_NAME: dict[str, Any] = {"length": {"max": 255}, "person-name-prohibited-characters": {}}

USER_PROFILE: dict[str, Any] = {
    "attributes": [
        {
            "name": "username",
            "displayName": "${username}",
            "validations": {"length": {"min": 3, "max": 255}, "username-prohibited-characters": {}},
            "permissions": _EVERYBODY,
            "multivalued": False,
        },
        {
            "name": "email",
            "displayName": "${email}",
            "validations": {"email": {}, "length": {"max": 255}},
            "required": {"roles": ["user"]},
            "permissions": _EVERYBODY,
            "multivalued": False,
        },
        *(
            {
                "name": name,
                "displayName": "${" + name + "}",
                "validations": _PERSON_NAME,
                "required": {"roles": ["user"]},
                "permissions": _EVERYBODY,
                "multivalued": False,
            }
            for name in ("firstName", "lastName")
        ),
    ],
    "groups": [
        {
            "name": "user-metadata",
            "displayHeader": "User metadata",
            "displayDescription": "Attributes, which refer to user metadata",
        }
    ],
}

MANAGEMENT_ROLES = (
    "create-client",
    "impersonation",
    "manage-authorization",
    "manage-clients",
    "manage-events",
    "manage-identity-providers",
    "manage-organizations",
    "manage-realm",
    "manage-users",
    "query-clients",
    "query-groups",
    "query-organizations",
    "query-realms",
    "query-users",
    "view-authorization",
    "view-clients",
    "view-events",
    "view-identity-providers",
    "view-organizations",
    "view-realm",
    "view-users",
)

INCLUDED_MANAGEMENT_ROLES = {
    "view-clients": ("query-clients",),
    "view-users": ("query-groups", "query-users"),
}
