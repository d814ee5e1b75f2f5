"""What the simulator does with credentials and bodies that no recording holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from lab.proxmox.accounts import Entry, Token, User
from lab.proxmox.server import application_for, new_datacenter
from lab.serving import serve_in_thread
from tests.lab.proxmox_replay import Clock
from tests.lab_servers import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.proxmox.datacenter import Datacenter

VALUE = "11111111-0000-4000-8000-000000000001"


@pytest.fixture
def center() -> Datacenter:
    center = new_datacenter(SMALL, clock=Clock())
    center.accounts.users["jo@pve"] = User(tokens={"t": Token(privsep=0)})
    center.accounts.acl[Entry("/", "user", "jo@pve", "PVEAdmin")] = 1
    center.token_values["jo@pve!t"] = VALUE
    center.accounts.settle()
    return center


@pytest.fixture
def url(center: Datacenter) -> Iterator[str]:
    with serve_in_thread(application_for(center, delays=False)) as address:
        yield f"{address}/api2/json"


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(f"{url}/version", headers=headers, timeout=5)


@pytest.mark.parametrize("separator", ["=", "%3D"])
def test_token_header(url, separator):
    assert get(url, Authorization=f"PVEAPIToken=jo@pve!t{separator}{VALUE}").status_code == 200


def test_token_header_with_a_blank(url):
    assert get(url, Authorization=f"PVEAPIToken jo@pve!t={VALUE}").status_code == 200


def test_ticket_inside_the_authorization_header(url, center):
    ticket = center.tickets.issue("jo@pve", now=center.now())
    assert get(url, Authorization=f"PVEAuthCookie={requests.utils.quote(ticket, safe='')}").status_code == 200


def test_a_cookie_hides_the_token(url):
    answer = get(url, Authorization=f"PVEAPIToken=jo@pve!t={VALUE}", Cookie="PVEAuthCookie=PVE:jo@pve:0::x")
    assert (answer.status_code, answer.reason) == (401, "Authentication failed!")


def test_plain_header_counts_only_in_plain_mode(url):
    assert get(url, **{"X-Lab-User": "root@pam"}).reason == "No ticket"


def test_open_calls_look_at_no_credentials(url):
    answer = requests.get(f"{url}/access/domains", headers={"Cookie": "PVEAuthCookie=rubbish"}, timeout=5)
    assert answer.status_code == 200


def test_root_ticket_as_password_makes_tickets_for_others(url, center):
    ticket = center.tickets.issue("root@pam", now=center.now())
    answer = requests.post(f"{url}/access/ticket", data={"username": "jo@pve", "password": ticket}, timeout=5)
    assert answer.json()["data"]["username"] == "jo@pve"
    assert answer.json()["data"]["clustername"] == "par1"


def test_another_users_ticket_as_password_is_refused(url, center):
    ticket = center.tickets.issue("jo@pve", now=center.now())
    answer = requests.post(
        f"{url}/access/ticket", data={"username": "root@pam", "password": ticket}, timeout=5
    )
    assert answer.status_code == 401


def token(url: str, verb: str, path: str, **more: object) -> requests.Response:
    headers = {"Authorization": f"PVEAPIToken=jo@pve!t={VALUE}", **more.pop("headers", {})}
    return requests.request(verb, url + path, headers=headers, timeout=5, **more)


def test_repeated_fields_of_a_list_are_joined(url, center):
    for group in ("a", "b1"):
        token(url, "POST", "/access/groups", data={"groupid": group})
    body = [("userid", "x@pve"), ("groups", "a"), ("groups", "b1")]
    assert token(url, "POST", "/access/users", data=body).status_code == 200
    assert center.accounts.groups_of("x@pve") == ["a", "b1"]


def test_repeated_fields_of_a_text_are_refused(url):
    answer = token(url, "POST", "/access/groups", data=[("groupid", "a"), ("groupid", "b")])
    assert answer.json()["errors"] == {"groupid": "type check ('string') failed - got ARRAY"}


@pytest.mark.parametrize(
    ("verb", "more", "status"),
    [
        ("GET", {"data": {"a": "b"}}, 501),
        ("POST", {"data": b"x", "headers": {"Content-Type": "text/plain"}}, 506),
        ("POST", {"data": iter([b"groupid=a"])}, 501),
        ("POST", {"data": b"[1", "headers": {"Content-Type": "application/json"}}, 400),
        ("PATCH", {}, 501),
    ],
)
def test_requests_that_the_server_refuses_before_its_api(url, verb, more, status):
    assert token(url, verb, "/access/groups", **more).status_code == status


def test_no_such_address(url):
    assert requests.get(url.removesuffix("/json") + "/png/version", timeout=5).status_code == 501


def test_non_ascii_names_can_be_created_but_not_addressed(url):
    assert token(url, "POST", "/access/users", data={"userid": "jé@pve"}).status_code == 200
    assert token(url, "GET", "/access/users/j%C3%A9@pve").status_code == 500


def test_requests_are_counted(url, center):
    get(url, Authorization=f"PVEAPIToken=jo@pve!t={VALUE}")
    assert center.requests["GET /version"] == 1


def test_expired_token_is_refused(url, center):
    center.accounts.users["jo@pve"].tokens["t"].expire = int(center.now()) - 1
    assert get(url, Authorization=f"PVEAPIToken=jo@pve!t={VALUE}").status_code == 401


def test_deleting_a_user_ends_tokens_for_good_and_tickets_until_the_name_is_used_again(url, center):
    root = {
        "Cookie": "PVEAuthCookie=" + requests.utils.quote(center.tickets.issue("root@pam", now=center.now()))
    }
    root["CSRFPreventionToken"] = center.tickets.issue_csrf("root@pam", now=center.now())
    cookie = "PVEAuthCookie=" + requests.utils.quote(center.tickets.issue("jo@pve", now=center.now()))
    requests.delete(f"{url}/access/users/jo@pve", headers=root, timeout=5).raise_for_status()
    assert get(url, Cookie=cookie).status_code == 401
    requests.post(
        f"{url}/access/users", data={"userid": "jo@pve"}, headers=root, timeout=5
    ).raise_for_status()
    assert get(url, Cookie=cookie).status_code == 200
    assert get(url, Authorization=f"PVEAPIToken=jo@pve!t={VALUE}").status_code == 401
