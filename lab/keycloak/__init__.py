"""A simulated Keycloak: the token endpoint and the Admin REST calls that Steward makes, over HTTP or HTTPS.

`server.application` is the whole of it; `seed.organisation` fills it with accounts worth looking at. What it
answers was measured on Keycloak 26.7.3, and one contract suite runs over both.
"""
