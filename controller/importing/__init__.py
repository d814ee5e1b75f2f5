"""From what is there to a policy folder that says the same. Readings in, file texts out.

The folder starts in report mode with every entry adopted: planning it changes nothing and tells what
enforcing would write, which in Keycloak is our mark alone. What the language cannot say is left out, and
told in a comment where it would stand; secrets are never read, and what the policy does not give stays.
"""

from controller.importing.folder import Imported, imported
from controller.importing.world import ClusterWorld, KeycloakWorld, read_cluster_world, read_keycloak_world

__all__ = [
    "ClusterWorld",
    "Imported",
    "KeycloakWorld",
    "imported",
    "read_cluster_world",
    "read_keycloak_world",
]
