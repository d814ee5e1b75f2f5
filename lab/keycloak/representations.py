"""The representations that the simulated Keycloak takes: their fields and the types of these.

Source: https://www.keycloak.org/docs-api/latest/rest-api/ .
"""

from __future__ import annotations

from lab.keycloak.shapes import Shape

__all__ = [
    "CLIENT",
    "EVENTS",
    "EXECUTION",
    "FLOW",
    "GROUP",
    "IDENTITY_PROVIDER",
    "LINK",
    "MAPPER",
    "PROVIDER_MAPPER",
    "REALM",
    "REQUIRED_ACTION",
    "ROLE",
    "USER",
]


def _of(name: str, **fields: str) -> Shape:
    """Each keyword is a type, its value the names of the fields that have it."""
    kinds = {
        "truths": "truth",
        "numbers": "number",
        "words": "text",
        "lists": "list",
        "texts": "texts",
        "maps": "map",
        "text_maps": "map of text",
        "attributes": "attributes",
        "strict_attributes": "lists of text",
    }
    return Shape(name, {field: kinds[kind] for kind, names in fields.items() for field in names.split()})


REALM = _of(
    "RealmRepresentation",
    truths="revokeRefreshToken offlineSessionMaxLifespanEnabled enabled registrationAllowed "
    "registrationEmailAsUsername rememberMe verifyEmail loginWithEmailAllowed duplicateEmailsAllowed "
    "resetPasswordAllowed editUsernameAllowed userCacheEnabled realmCacheEnabled bruteForceProtected "
    "permanentLockout otpPolicyCodeReusable webAuthnPolicyAvoidSameAuthenticatorRegister "
    "webAuthnPolicyPasswordlessAvoidSameAuthenticatorRegister webAuthnPolicyPasswordlessPasskeysEnabled "
    "eventsEnabled adminEventsEnabled adminEventsDetailsEnabled internationalizationEnabled "
    "userManagedAccessAllowed organizationsEnabled verifiableCredentialsEnabled adminPermissionsEnabled "
    "scimApiEnabled passwordCredentialGrantAllowed social updateProfileOnInitialSocialLogin",
    numbers="notBefore refreshTokenMaxReuse accessTokenLifespan accessTokenLifespanForImplicitFlow "
    "ssoSessionIdleTimeout ssoSessionMaxLifespan ssoSessionIdleTimeoutRememberMe "
    "ssoSessionMaxLifespanRememberMe offlineSessionIdleTimeout offlineSessionMaxLifespan "
    "clientSessionIdleTimeout clientSessionMaxLifespan clientOfflineSessionIdleTimeout "
    "clientOfflineSessionMaxLifespan accessCodeLifespan accessCodeLifespanUserAction accessCodeLifespanLogin "
    "actionTokenGeneratedByAdminLifespan actionTokenGeneratedByUserLifespan oauth2DeviceCodeLifespan "
    "oauth2DevicePollingInterval maxTemporaryLockouts maxFailureWaitSeconds minimumQuickLoginWaitSeconds "
    "waitIncrementSeconds quickLoginCheckMilliSeconds maxDeltaTimeSeconds failureFactor "
    "maxSecondaryAuthFailures otpPolicyInitialCounter otpPolicyDigits otpPolicyLookAheadWindow "
    "otpPolicyPeriod webAuthnPolicyCreateTimeout webAuthnPolicyPasswordlessCreateTimeout eventsExpiration",
    words="id realm displayName displayNameHtml defaultSignatureAlgorithm sslRequired bruteForceStrategy "
    "privateKey publicKey certificate codeSecret passwordPolicy otpPolicyType otpPolicyAlgorithm "
    "webAuthnPolicyRpEntityName webAuthnPolicyRpId webAuthnPolicyAttestationConveyancePreference "
    "webAuthnPolicyAuthenticatorAttachment webAuthnPolicyRequireResidentKey webAuthnPolicyResidentKey "
    "webAuthnPolicyUserVerificationRequirement webAuthnPolicyPasswordlessRpEntityName "
    "webAuthnPolicyPasswordlessRpId webAuthnPolicyPasswordlessAttestationConveyancePreference "
    "webAuthnPolicyPasswordlessAuthenticatorAttachment webAuthnPolicyPasswordlessRequireResidentKey "
    "webAuthnPolicyPasswordlessResidentKey webAuthnPolicyPasswordlessUserVerificationRequirement "
    "loginTheme accountTheme adminTheme emailTheme defaultLocale browserFlow registrationFlow "
    "directGrantFlow resetCredentialsFlow clientAuthenticationFlow dockerAuthenticationFlow "
    "firstBrokerLoginFlow keycloakVersion",
    lists="users federatedUsers scopeMappings clients clientScopes userFederationProviders "
    "userFederationMappers identityProviders identityProviderMappers protocolMappers "
    "authenticationFlows authenticatorConfig requiredActions organizations groups applications "
    "oauthClients clientTemplates",
    texts="defaultRoles defaultGroups requiredCredentials otpSupportedApplications "
    "webAuthnPolicySignatureAlgorithms webAuthnPolicyAcceptableAaguids webAuthnPolicyExtraOrigins "
    "webAuthnPolicyPasswordlessSignatureAlgorithms webAuthnPolicyPasswordlessAcceptableAaguids "
    "webAuthnPolicyPasswordlessExtraOrigins defaultDefaultClientScopes defaultOptionalClientScopes "
    "eventsListeners enabledEventTypes supportedLocales",
    maps="roles defaultRole clientScopeMappings applicationScopeMappings components clientProfiles "
    "clientPolicies localizationTexts",
    text_maps="smtpServer attributes browserSecurityHeaders socialProviders",
)

USER = _of(
    "UserRepresentation",
    truths="emailVerified enabled totp",
    numbers="createdTimestamp notBefore",
    words="self id username firstName lastName email federationLink origin serviceAccountClientId",
    lists="credentials federatedIdentities clientConsents socialLinks organizations",
    texts="disableableCredentialTypes requiredActions realmRoles groups",
    maps="clientRoles applicationRoles access userProfileMetadata",
    attributes="attributes",
)

GROUP = _of(
    "GroupRepresentation",
    numbers="subGroupCount",
    words="id name description path parentId",
    lists="subGroups",
    texts="realmRoles",
    maps="clientRoles access",
    strict_attributes="attributes",
)

ROLE = _of(
    "RoleRepresentation",
    truths="scopeParamRequired composite clientRole",
    words="id name description containerId",
    maps="composites",
    strict_attributes="attributes",
)

CLIENT = _of(
    "ClientRepresentation",
    truths="surrogateAuthRequired enabled alwaysDisplayInConsole bearerOnly consentRequired "
    "standardFlowEnabled implicitFlowEnabled directAccessGrantsEnabled serviceAccountsEnabled "
    "authorizationServicesEnabled directGrantsOnly publicClient frontchannelLogout fullScopeAllowed "
    "useTemplateConfig useTemplateScope useTemplateMappers",
    numbers="notBefore nodeReRegistrationTimeout",
    words="id clientId name description type rootUrl adminUrl baseUrl clientAuthenticatorType secret "
    "registrationAccessToken protocol clientTemplate origin",
    lists="protocolMappers",
    texts="defaultRoles redirectUris webOrigins defaultClientScopes optionalClientScopes",
    maps="authenticationFlowBindingOverrides registeredNodes authorizationSettings access",
    text_maps="attributes",
)

MAPPER = _of(
    "ProtocolMapperRepresentation",
    truths="consentRequired",
    words="id name protocol protocolMapper consentText",
    text_maps="config",
)

IDENTITY_PROVIDER = _of(
    "IdentityProviderRepresentation",
    truths="enabled trustEmail storeToken addReadTokenRoleOnCreate authenticateByDefault linkOnly "
    "hideOnLogin updateProfileFirstLogin",
    words="alias displayName internalId providerId updateProfileFirstLoginMode firstBrokerLoginFlowAlias "
    "postBrokerLoginFlowAlias organizationId",
    texts="types",
    text_maps="config",
)

PROVIDER_MAPPER = _of(
    "IdentityProviderMapperRepresentation",
    words="id name identityProviderAlias identityProviderMapper",
    text_maps="config",
)

LINK = _of("FederatedIdentityRepresentation", words="identityProvider userId userName")

REQUIRED_ACTION = _of(
    "RequiredActionProviderRepresentation",
    truths="enabled defaultAction",
    numbers="priority",
    words="alias name providerId",
    text_maps="config",
)

FLOW = _of(
    "AuthenticationFlowRepresentation",
    truths="topLevel builtIn",
    words="id alias description providerId",
    lists="authenticationExecutions",
)

EXECUTION = _of(
    "AuthenticationExecutionInfoRepresentation",
    truths="configurable authenticationFlow",
    numbers="level index priority",
    words="id requirement displayName alias description providerId authenticationConfig flowId",
    texts="requirementChoices",
)

EVENTS = _of(
    "RealmEventsConfigRepresentation",
    truths="eventsEnabled adminEventsEnabled adminEventsDetailsEnabled",
    numbers="eventsExpiration",
    texts="eventsListeners enabledEventTypes",
)
