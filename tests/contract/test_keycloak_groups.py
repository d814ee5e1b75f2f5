"""Groups: the lab's Keycloak and the real one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.keycloak_raw import answer_of

if TYPE_CHECKING:
    from tests.contract.keycloak_raw import Raw

SERVER_ERROR = {
    "error": "unknown_error",
    "error_description": "For more on this error consult the server log.",
}
NO_GROUP = (404, {"error": "Could not find group by id"})
ALL = {"search": "*", "populateHierarchy": "false", "subGroupsCount": "false"}
EVERYTHING = dict.fromkeys(("view", "viewMembers", "manageMembers", "manage", "manageMembership"), True)


@pytest.fixture(scope="module")
def raw(fresh: Raw) -> Raw:
    """a/b/c and Z, with attributes."""
    ids: dict[str, str] = {}
    for path, body in (
        ("a", {"description": "group a", "attributes": {"steward.owner": ["x"], "m": ["1", "2"]}}),
        ("Z", {}),
        ("a/b", {"attributes": {"k": ["v"]}}),
        ("a/b/kid", {}),
    ):
        above, _, name = path.rpartition("/")
        ids[path] = new_group(fresh, name, below=ids.get(above), **body)
    return fresh


def new_group(raw: Raw, name: str, *, below: str | None = None, **fields: object) -> str:
    path = f"/groups/{below}/children" if below else "/groups"
    answer = raw.call("POST", path, {"name": name, **fields})
    assert answer.status_code == 201, answer.text
    assert bool(answer.content) == bool(below)
    return str(answer.headers["Location"].rpartition("/")[2])


def named(raw: Raw, path: str) -> dict[str, Any]:
    return dict(raw.get(f"/group-by-path/{path}"))


def new_role(raw: Raw, name: str) -> dict[str, Any]:
    assert raw.call("POST", "/roles", {"name": name}).status_code == 201
    return dict(raw.get(f"/roles/{name}"))


def names(groups: list[dict[str, Any]]) -> list[str]:
    return [group["name"] for group in groups]


class TestCreation:
    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            pytest.param(
                {"name": "a"},
                (409, {"errorMessage": "Top level group named 'a' already exists."}),
                id="twice",
            ),
            pytest.param({}, (400, {"errorMessage": "Group name is missing"}), id="no name"),
            pytest.param({"name": " "}, (400, {"errorMessage": "Group name is missing"}), id="blank"),
            pytest.param({"name": "n" * 256}, (500, SERVER_ERROR), id="long name"),
            pytest.param({"name": "q", "description": "d" * 256}, (500, SERVER_ERROR), id="long description"),
            pytest.param(
                {"name": ["a"]},
                (400, {"error": "unknown_error", "error_description": "Cannot parse the JSON"}),
                id="wrong type",
            ),
            pytest.param(
                {"name": "u", "bogus": 1},
                (
                    400,
                    {
                        "error": "Invalid json representation for GroupRepresentation. "
                        'Unrecognized field "bogus" at line 1 column 25.'
                    },
                ),
                id="unknown field",
            ),
        ],
    )
    def test_refused(self, raw: Raw, body: dict[str, object], answer: tuple[int, object]) -> None:
        assert answer_of(raw.call("POST", "/groups", body)) == answer

    def test_a_child_is_answered_whole(self, raw: Raw) -> None:
        parent = new_group(raw, "parent")
        status, body = answer_of(raw.call("POST", f"/groups/{parent}/children", {"name": "one"}))
        assert status == 201
        assert body == {
            "id": body["id"],
            "name": "one",
            "path": "/parent/one",
            "parentId": parent,
            "subGroups": [],
            "attributes": {},
            "realmRoles": [],
            "clientRoles": {},
            "access": EVERYTHING,
        }
        assert answer_of(raw.call("POST", f"/groups/{parent}/children", {"name": "one"})) == (
            409,
            {"errorMessage": "Sibling group named 'one' already exists."},
        )

    def test_roles_and_sub_groups_of_the_body_are_ignored(self, raw: Raw) -> None:
        group = new_group(raw, "bare", realmRoles=["offline_access"], subGroups=[{"name": "kid"}])
        live = raw.get(f"/groups/{group}")
        assert (live["realmRoles"], live["subGroupCount"]) == ([], 0)

    def test_below_nobody(self, raw: Raw) -> None:
        assert answer_of(raw.call("POST", "/groups/nope/children", {"name": "c"})) == NO_GROUP


class TestLists:
    def test_the_top_without_a_search(self, raw: Raw) -> None:
        top = raw.get("/groups")
        assert names(top) == sorted(names(top))
        (found,) = [group for group in top if group["name"] == "a"]
        assert found == {
            "id": found["id"],
            "name": "a",
            "description": "group a",
            "path": "/a",
            "subGroupCount": 1,
            "subGroups": [],
            "access": EVERYTHING,
        }
        assert names(raw.get("/groups", populateHierarchy="false")) == names(top)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            pytest.param({"search": "kid"}, ["kid"], id="whole"),
            pytest.param({"search": "KI"}, ["kid"], id="part"),
            pytest.param({"search": "k*d"}, ["kid"], id="star"),
            pytest.param({"search": "id"}, ["kid"], id="in the middle"),
            pytest.param({"search": "%"}, [], id="per cent"),
            pytest.param({"search": "b", "exact": "true"}, ["b"], id="exact"),
            pytest.param({"search": "B", "exact": "true"}, [], id="exact in another case"),
            pytest.param({"q": "k:v"}, ["b"], id="attribute"),
            pytest.param({"q": "steward.owner:x"}, ["a"], id="mark"),
            pytest.param({"q": "steward.owner:y"}, [], id="other mark"),
        ],
    )
    def test_search(self, raw: Raw, query: dict[str, str], found: list[str]) -> None:
        assert names(raw.get("/groups", populateHierarchy="false", **query)) == found

    def test_a_search_shows_the_way_from_the_top(self, raw: Raw) -> None:
        (top,) = raw.get("/groups", search="kid", briefRepresentation="false")
        (middle,) = top["subGroups"]
        (found,) = middle["subGroups"]
        assert [group["path"] for group in (top, middle, found)] == ["/a", "/a/b", "/a/b/kid"]
        assert (top["attributes"]["steward.owner"], middle["attributes"]) == (["x"], {"k": ["v"]})

    def test_all_of_them_flat(self, raw: Raw) -> None:
        every = raw.get("/groups", briefRepresentation="false", first=0, max=1000, **ALL)
        assert (
            len(every) == raw.get("/groups/count")["count"] == raw.get("/groups/count", search="*")["count"]
        )
        (kid,) = [group for group in every if group["name"] == "kid"]
        assert kid.keys() == {
            "id", "name", "path", "parentId", "subGroups", "attributes", "realmRoles", "clientRoles",
            "access",
        }  # fmt: skip
        pages = [raw.get("/groups", first=first, max=2, **ALL) for first in (0, 2)]
        assert [group["id"] for page in pages for group in page] == [group["id"] for group in every[:4]]
        assert len(raw.get("/groups")) == raw.get("/groups/count", top="true")["count"]

    def test_ten_children_where_nobody_asks_for_more(self, raw: Raw) -> None:
        parent = new_group(raw, "family")
        for number in range(12):
            new_group(raw, f"k{number:02}", below=parent)
        path = f"/groups/{parent}/children"
        assert names(raw.get(path)) == [f"k{number:02}" for number in range(10)]
        assert len(raw.get(path, max=100)) == 12
        assert "attributes" in raw.get(path)[0]
        assert "attributes" not in raw.get(path, briefRepresentation="true")[0]

    @pytest.mark.parametrize("path", ["", "/children", "/members", "/role-mappings/realm"])
    def test_absent(self, raw: Raw, path: str) -> None:
        assert answer_of(raw.call("GET", f"/groups/nope{path}")) == NO_GROUP

    def test_no_number(self, raw: Raw) -> None:
        assert answer_of(raw.call("GET", "/groups", max="x")) == (404, {"error": "HTTP 404 Not Found"})


class TestUpdate:
    def test_description_is_replaced_and_attributes_where_they_are_given(self, raw: Raw) -> None:
        group = new_group(raw, "edited", description="d", attributes={"o": ["1"]})
        seen = []
        for body in (
            {"name": "edited"},
            {"name": "edited", "description": "again"},
            {"name": "edited", "attributes": {}},
        ):
            assert raw.call("PUT", f"/groups/{group}", body).status_code == 204
            live = raw.get(f"/groups/{group}")
            seen.append((live.get("description"), live["attributes"]))
        assert seen == [(None, {"o": ["1"]}), ("again", {"o": ["1"]}), (None, {})]

    def test_refused(self, raw: Raw) -> None:
        group = new_group(raw, "steady")
        path = f"/groups/{group}"
        assert answer_of(raw.call("PUT", path, {"name": "Z"})) == (
            409,
            {"errorMessage": "Sibling group named 'Z' already exists."},
        )
        missing = (400, {"errorMessage": "Group name is missing"})
        assert answer_of(raw.call("PUT", path, {"description": "d"})) == missing
        assert answer_of(raw.call("PUT", "/groups/nope", {"name": "n"})) == NO_GROUP

    def test_moved_and_not_renamed(self, raw: Raw) -> None:
        here, there = new_group(raw, "here"), new_group(raw, "there")
        moved = {"id": here, "name": "renamed"}
        assert raw.call("POST", f"/groups/{there}/children", moved).status_code == 204
        assert raw.get(f"/groups/{here}")["path"] == "/there/here"
        assert answer_of(raw.call("POST", f"/groups/{here}/children", {"id": there, "name": "there"})) == (
            500,
            SERVER_ERROR,
        )
        assert raw.call("POST", "/groups", {"id": here, "name": "here"}).status_code == 204
        assert "parentId" not in raw.get(f"/groups/{here}")
        gone = (404, {"error": "Could not find child by id"})
        assert answer_of(raw.call("POST", "/groups", {"id": "nope", "name": "q"})) == gone

    def test_deleted_with_what_is_below(self, raw: Raw) -> None:
        top = new_group(raw, "doomed")
        below = new_group(raw, "too", below=top)
        user = raw.new_user("bereft", groups=["/doomed", "/doomed/too"])
        assert raw.call("DELETE", f"/groups/{top}").status_code == 204
        assert raw.get(f"/users/{user}/groups") == []
        for one in (top, below):
            assert answer_of(raw.call("DELETE", f"/groups/{one}")) == NO_GROUP


class TestMembers:
    def test_by_path_when_the_account_is_made(self, raw: Raw) -> None:
        kid = named(raw, "a/b/kid")
        user = raw.new_user("member", groups=["/a/b/kid", "Z"])
        shown = {"id": kid["id"], "name": "kid", "path": "/a/b/kid", "parentId": kid["parentId"]}
        assert shown | {"subGroups": []} in raw.get(f"/users/{user}/groups")
        assert raw.get(f"/users/{user}/groups/count") == {"count": 2}
        refused = raw.call("POST", "/users", {"username": "lost", "groups": ["/nowhere"]})
        assert answer_of(refused) == (500, SERVER_ERROR)

    def test_joining_and_leaving_twice_is_no_error(self, raw: Raw) -> None:
        group, user = named(raw, "Z")["id"], raw.new_user("joiner")
        path = f"/users/{user}/groups"
        for method in ("PUT", "PUT", "DELETE", "DELETE"):
            assert raw.call(method, f"{path}/{group}").status_code == 204
            assert answer_of(raw.call(method, f"{path}/nope")) == (404, {"error": "Group not found"})
        assert answer_of(raw.call("PUT", f"/users/nope/groups/{group}")) == (404, {"error": "User not found"})
        events = raw.get(
            "/admin-events", resourceTypes="GROUP_MEMBERSHIP", resourcePath=f"{path[1:]}/{group}"
        )
        assert [event["operationType"] for event in events] == ["DELETE", "CREATE"]
        assert events[0]["details"] == {"username": "joiner", "email": "joiner@example.org"}

    def test_a_hundred_where_nobody_asks_for_more(self, raw: Raw) -> None:
        group = new_group(raw, "crowd")
        users = [{"username": f"c{number:03}", "groups": ["/crowd"]} for number in range(120)]
        assert raw.call("POST", "/partialImport", {"users": users}).status_code == 200
        path = f"/groups/{group}/members"
        assert len(raw.get(path)) == 100
        assert len(raw.get(path, max=-1)) == 120
        page = raw.get(path, first=3, max=2, briefRepresentation="true")
        assert [user["username"] for user in page] == ["c003", "c004"]
        assert page[0].keys() == {"id", "username", "emailVerified", "enabled", "createdTimestamp"}


class TestRoles:
    def test_of_a_group_are_those_of_its_members_and_of_what_is_below(self, raw: Raw) -> None:
        role, top = new_role(raw, "granted"), new_group(raw, "rich")
        below = new_group(raw, "heir", below=top)
        path = f"/groups/{top}/role-mappings/realm"
        for _ in range(2):
            assert raw.call("POST", path, [role]).status_code == 204
        assert names(raw.get(path)) == ["granted"]
        assert raw.get(f"/groups/{top}")["realmRoles"] == ["granted"]
        assert names(raw.get(f"/groups/{below}/role-mappings/realm/composite")) == ["granted"]
        assert raw.get(f"/groups/{below}/role-mappings/realm") == []
        (holder,) = raw.get("/roles/granted/groups")
        assert holder == {"id": top, "name": "rich", "path": "/rich", "subGroups": []}
        user = raw.new_user("heiress", groups=["/rich/heir"])
        assert "granted" in names(raw.get(f"/users/{user}/role-mappings/realm/composite"))
        assert "granted" not in names(raw.get(f"/users/{user}/role-mappings/realm"))
        assert raw.get("/roles/granted/users") == []
        for _ in range(2):
            assert raw.call("DELETE", path, [role]).status_code == 204
        assert raw.get(path) == []

    def test_unknown(self, raw: Raw) -> None:
        role, group = new_role(raw, "unmapped"), new_group(raw, "poor")
        path = f"/groups/{group}/role-mappings/realm"
        refused = (404, {"error": "Role not found"})
        assert answer_of(raw.call("POST", path, [{"name": "unmapped"}])) == refused
        assert answer_of(raw.call("POST", path, [role | {"id": "x"}])) == refused
        assert answer_of(raw.call("POST", "/groups/nope/role-mappings/realm", [role])) == NO_GROUP
        assert raw.call("POST", path, []).status_code == 204
