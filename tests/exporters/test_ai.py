from __future__ import annotations

import socket
import subprocess
import threading
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.ai import litellm, ollama, vllm
from exporters.ai.build import build
from exporters.ai.families import Bounds, Teller, merged
from exporters.ai.fetch import Fetch, FetchError, address
from exporters.ai.readings import Histogram, Model, Person, Reading, Use
from exporters.clients.tls import Trust
from exporters.collector import Host
from exporters.errors import ExporterError, NoDataError, SettingError, SourceError
from exporters.settings import Settings
from exporters.text import Renderer
from lab.processes import free_port
from lab.tls import Authority
from tests.exporters.exposition import parse
from tests.exporters.model_servers import LITELLM, OLLAMA, VLLM, Behaviour, saved, serving
from tests.exporters.trees import at, scrape
from tests.real.servers import real_server


def fetch(url, **settings):
    return Fetch(address("collector.ai.vllm-url", url), Trust(), **settings)


def told(service, reading, bounds=None):
    families = Teller(service, "here", bounds or Bounds()).families(reading)
    return parse(Renderer().render(families))


def labels(service, **more):
    return {"service": service, "server": "here", **more}


def test_ollama():
    with serving(Behaviour(OLLAMA)) as url:
        seen = told("ollama", ollama.read(fetch(url)))
    of = labels("ollama")
    assert seen.of("steward_ai_up", **of) == 1
    assert seen.of("steward_ai_version_info", **of, version="0.12.6") == 1
    assert seen.of("steward_ai_models_loaded", **of) == 2
    assert seen.of("steward_ai_models_stored", **of) == 3
    assert seen.of("steward_ai_model_memory_bytes", **of, model="mistral:7b") == 6591830464
    assert seen.of("steward_ai_model_gpu_memory_bytes", **of, model="mistral:7b") == 5333539264
    assert seen.of("steward_ai_model_gpu_memory_bytes", **of, model="embed:latest") == 0
    assert seen.of("steward_ai_model_context_tokens", **of, model="mistral:7b") == 4096
    expiry = seen.of("steward_ai_model_expiry_timestamp_seconds", **of, model="mistral:7b")
    assert expiry == 1795205227.933551
    assert seen.of("steward_ai_model_loaded", **of, model="big:70b") == 0
    assert seen.of("steward_ai_model_stored_bytes", **of, model="big:70b") == 39969745349
    names = {name for name, _ in seen.values}
    assert not names & {"steward_ai_requests_total", "steward_ai_tokens_total"}, "Ollama does not count"


def test_a_model_without_an_expiry_has_none():
    with serving(Behaviour(OLLAMA)) as url:
        seen = told("ollama", ollama.read(fetch(url)))
    rows = [dict(row) for name, row in seen.values if name == "steward_ai_model_expiry_timestamp_seconds"]
    assert [row["model"] for row in rows] == ["mistral:7b"]


def test_ollama_that_does_not_say_what_is_loaded():
    answers = {path: body for path, body in OLLAMA.items() if path != "/api/ps"}
    with serving(Behaviour(answers)) as url:
        seen = told("ollama", ollama.read(fetch(url)))
    assert seen.of("steward_ai_up", **labels("ollama")) == 1
    assert seen.of("steward_ai_endpoint_up", **labels("ollama", endpoint="/api/ps")) == 0
    assert not {"steward_ai_models_loaded", "steward_ai_model_loaded"} & seen.names(), "that would be a guess"
    assert seen.of("steward_ai_models_stored", **labels("ollama")) == 3


@pytest.mark.parametrize("chunked", [False, True])
def test_vllm(chunked):
    """Its metrics come chunked, from a server of ASGI."""
    with serving(Behaviour(VLLM, chunked=chunked)) as url:
        seen = told("vllm", vllm.read(fetch(url)))
    of = labels("vllm", model="acme/chat-8b")
    assert seen.of("steward_ai_version_info", **labels("vllm", version="0.10.2")) == 1
    assert seen.of("steward_ai_models_loaded", **labels("vllm")) == 1
    assert seen.of("steward_ai_requests_running", **of) == 4
    assert seen.of("steward_ai_requests_waiting", **of) == 2
    assert seen.of("steward_ai_cache_usage_ratio", **of) == 0.25
    assert seen.of("steward_ai_tokens_total", **of, kind="prompt") == 1500
    assert seen.of("steward_ai_tokens_total", **of, kind="completion") == 5700
    assert seen.of("steward_ai_requests_total", **of, result="success") == 55
    assert seen.of("steward_ai_requests_total", **of, result="aborted") == 2
    assert seen.of("steward_ai_requests_total", **of, result="unknown") == 1
    assert seen.of("steward_ai_request_duration_seconds_bucket", **of, le="0.3") == 1
    assert seen.of("steward_ai_request_duration_seconds_bucket", **of, le="1.0") == 38
    assert seen.of("steward_ai_request_duration_seconds_bucket", **of, le="+Inf") == 55
    assert seen.of("steward_ai_request_duration_seconds_sum", **of) == 70
    assert seen.of("steward_ai_time_to_first_token_seconds_count", **of) == 45
    assert "steward_ai_model_memory_bytes" not in seen.names(), "vLLM does not tell it"


def test_litellm_by_model():
    with serving(Behaviour(LITELLM)) as url:
        seen = told("litellm", litellm.read(fetch(url)))
    of = labels("litellm", model="chat")
    assert seen.of("steward_ai_version_info", **labels("litellm", version="1.77.5")) == 1
    assert seen.of("steward_ai_requests_total", **of, result="success") == 8
    assert seen.of("steward_ai_requests_total", **of, result="failed") == 2
    assert seen.of("steward_ai_requests_total", **labels("litellm", model="unknown"), result="failed") == 4
    assert seen.of("steward_ai_tokens_total", **of, kind="prompt") == 950
    assert seen.of("steward_ai_tokens_total", **of, kind="completion") == 4000
    assert seen.of("steward_ai_request_duration_seconds_bucket", **of, le="0.5") == 4
    assert seen.of("steward_ai_request_duration_seconds_sum", **of) == 10.75
    assert "steward_ai_models_loaded" not in seen.names(), "a proxy loads none"
    assert not [name for name in seen.names() if name.startswith("steward_ai_user_")], "people are a switch"


def test_litellm_by_user_where_it_is_switched_on():
    with serving(Behaviour(LITELLM)) as url:
        seen = told("litellm", litellm.read(fetch(url)), Bounds(with_people=True))
    ada = labels("litellm", user="ada", end_user="", team="research", key="notebook")
    customer = labels("litellm", user="", end_user="customer-9", team="t-2", key="")
    assert seen.of("steward_ai_user_requests_total", **ada, result="success") == 7
    assert seen.of("steward_ai_user_requests_total", **ada, result="failed") == 2
    assert seen.of("steward_ai_user_tokens_total", **ada, kind="completion") == 4000
    told_of = {name: value for name, value in ada.items() if value}  # an empty label is none
    assert seen.of("steward_ai_user_request_duration_seconds_sum", **told_of) == 10.5
    told_of = {name: value for name, value in customer.items() if value}
    assert seen.of("steward_ai_user_request_duration_seconds_count", **told_of) == 1
    text = str(seen.values)
    assert "88dc28d0f030" not in text, "hashes of keys are not told"


def test_litellm_without_its_prometheus_callback_is_up():
    answers = {path: body for path, body in LITELLM.items() if path != "/metrics/"}
    with serving(Behaviour({**answers, "/health/readiness": b'{"status":"healthy"}'})) as url:
        seen = told("litellm", litellm.read(fetch(url)))
    assert seen.of("steward_ai_up", **labels("litellm")) == 1
    assert seen.of("steward_ai_endpoint_up", **labels("litellm", endpoint="/metrics/")) == 0
    assert seen.of("steward_ai_endpoint_up", **labels("litellm", endpoint="/health/readiness")) == 1
    assert "steward_ai_version_info" not in seen.names()


@pytest.mark.parametrize("read", [ollama.read, vllm.read, litellm.read])
def test_a_server_that_is_down_is_asked_once_and_told(read):
    seen = told("it", read(fetch(f"http://127.0.0.1:{free_port()}")))
    assert seen.of("steward_ai_up", **labels("it")) == 0
    assert [name for name in seen.names() if name not in ("steward_ai_up", "steward_ai_endpoint_up")] == []


def endless():
    for number in count():
        yield b"HTTP/1.1 200 OK\r\nX-%d: x\r\n" % number


def large():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"
    for _ in range(1000):
        yield b"x" * 9999


ODD = {
    "garbage": lambda: iter([b"220 mail.example ESMTP\r\n"]),
    "an endless head": endless,
    "too large": large,
    "cut short": lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"]),
    "nothing": lambda: iter([]),
    "a redirect": lambda: iter(
        [b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"]
    ),
    "no content": lambda: iter([b"HTTP/1.1 204 No Content\r\n\r\n"]),
    "broken chunks": lambda: iter([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello"]),
}


@pytest.mark.parametrize("pieces", ODD.values(), ids=ODD.keys())
def test_an_answer_that_is_none_is_an_error_of_ours(pieces):
    with serving(Behaviour({}, raw={"/metrics": pieces})) as url, pytest.raises(FetchError):
        fetch(url).get("/metrics", 1 << 20)


def test_a_server_that_drips_ends_at_the_deadline():
    """Each byte comes in time, the answer as a whole does not; the clock is the test's."""
    sent = threading.Event()

    def drip():
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        for _ in range(50):
            yield b"x"
            if sent.wait(0.005):
                return

    ticks = count()
    try:
        with (
            serving(Behaviour({}, raw={"/metrics": drip})) as url,
            pytest.raises(FetchError, match="TimeoutError"),
        ):
            fetch(url, steady=lambda: float(next(ticks)), timeout_seconds=5.0).get("/metrics")
    finally:
        sent.set()


def test_the_token_is_sent_and_never_told(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret-token\n")
    token.chmod(0o600)
    behaviour = Behaviour(VLLM, token="s3cret-token")
    with serving(behaviour) as url:
        assert vllm.read(fetch(url, token_file=token)).is_up
        assert not vllm.read(fetch(url)).is_up
        assert behaviour.authorizations == ["Bearer s3cret-token"] * 2 + [None]


@pytest.mark.parametrize(
    ("text", "mode"), [("x", 0o644), ("x", 0o620), ("", 0o600), ("a b", 0o600), ("a\r\nX: y", 0o600)]
)
def test_a_bad_token_file_stops_the_request(tmp_path, text, mode):
    token = tmp_path / "token"
    token.write_text(text)
    token.chmod(mode)
    behaviour = Behaviour(VLLM)
    with serving(behaviour) as url, pytest.raises(FetchError) as caught:
        fetch(url, token_file=token).get("/metrics")
    assert behaviour.asked == []
    assert "X: y" not in str(caught.value)


def test_tls_is_verified(tmp_path):
    authority = Authority.create(tmp_path / "ca")
    given = {"collector.ai.vllm-url": "", "collector.ai.ca-file": str(authority.ca_file)}
    with serving(Behaviour(VLLM), authority.server_context()) as url:
        assert up(given | {"collector.ai.vllm-url": url}) == 1
        assert up({"collector.ai.vllm-url": url}) == 0, "the system does not know this authority"


def up(flags):
    collector = build(host(flags))
    try:
        seen = parse(Renderer().render(collector.collect()))
    finally:
        collector.close()
    [value] = [value for (name, _), value in seen.values.items() if name == "steward_ai_up"]
    return value


def host(flags, tree=None):
    given = {name: (value,) if isinstance(value, str) else value for name, value in flags.items()}
    return Host(tree, Settings(given), "here")


def own_address():
    """An address of this machine that is not loopback; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return probe.getsockname()[0]


def test_plain_http_is_for_loopback_alone():
    """Even this host by its other address is refused, before anything is sent."""
    behaviour = Behaviour(VLLM)
    with serving(behaviour, bind="0.0.0.0") as url:
        port = url.rpartition(":")[2]
        with pytest.raises(FetchError, match="plain HTTP"):
            fetch(f"http://{own_address()}:{port}").get("/version")
        assert behaviour.asked == []
        assert fetch(f"http://localhost:{port}").get("/version")


GOOD_URLS = {
    "http://127.0.0.1:11434": "127.0.0.1:11434",
    "http://localhost": "localhost:80",
    "https://ai.example/": "ai.example:443",
    "https://ai.example/litellm/": "ai.example:443/litellm",
    "http://[::1]:8000": "[::1]:8000",
}


@pytest.mark.parametrize("url", GOOD_URLS)
def test_addresses(url):
    assert str(address("f", url)) == GOOD_URLS[url]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://u:pw@127.0.0.1",
        "http://127.0.0.1/?key=1",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/ä",
        "http://127.0.0.1:99999",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(url):
    with pytest.raises(SettingError) as caught:
        address("collector.ai.vllm-url", url)
    assert "pw" not in str(caught.value)


async def test_in_the_registry(tmp_path):
    with (
        serving(Behaviour(OLLAMA)) as one,
        serving(Behaviour(VLLM)) as two,
        serving(Behaviour(LITELLM)) as three,
    ):
        flags = {
            "collector.disable-defaults": "true",
            "collector.ai": "true",
            "collector.ai.ollama-url": one,
            "collector.ai.vllm-url": (two, f"http://127.0.0.1:{free_port()}"),
            "collector.ai.litellm-url": three,
        }
        seen = await scrape(host(flags, at(tmp_path)))
    ups = [value for (name, _), value in seen.values.items() if name == "steward_ai_up"]
    assert sorted(ups) == [0, 1, 1, 1]
    assert seen.of("steward_scrape_collector_success", collector="ai") == 1
    assert seen.of("steward_scrape_collector_age_seconds", collector="ai") >= 0


async def test_without_an_address_there_is_no_data(tmp_path):
    seen = await scrape(host({"collector.disable-defaults": "true", "collector.ai": "true"}, at(tmp_path)))
    assert seen.of("steward_scrape_collector_no_data", collector="ai") == 1


def test_a_server_that_hangs_does_not_hold_the_others():
    release = threading.Event()

    def hang():
        release.wait(30)
        yield b""

    with serving(Behaviour(VLLM)) as well, serving(Behaviour({}, raw={"/api/version": hang})) as stuck:
        collector = build(host({"collector.ai.vllm-url": well, "collector.ai.ollama-url": stuck}))
        try:
            seen = parse(Renderer().render(collector.collect()))
        finally:
            release.set()
            collector.close()
    assert [value for (name, _), value in seen.values.items() if name == "steward_ai_up"] == [1]


@pytest.mark.parametrize(
    "flags",
    [
        {"collector.ai.vllm-url": ("http://127.0.0.1:1", "http://127.0.0.1:1/")},
        {"collector.ai.vllm-url": tuple(f"http://127.0.0.1:{port}" for port in range(1, 40))},
        {"collector.ai.vllm-url": "nonsense"},
        {"collector.ai.vllm-url": "http://127.0.0.1:1", "collector.ai.ca-file": "/nonexistent"},
    ],
)
def test_settings_that_cannot_be_are_refused(flags):
    with pytest.raises(SettingError):
        build(host(flags))


def test_no_address_no_data():
    with pytest.raises(NoDataError):
        build(host({})).collect()


def reading(*models, uses=()):
    return Reading({}, is_up=True, models=models, uses=uses)


def busy(name, requests):
    return Model(
        name, gauges={"requests_running": 1.0, "context_tokens": 8.0}, requests={"success": requests}
    )


def test_models_beyond_the_bound_are_other():
    seen = told("vllm", reading(busy("a", 1), busy("b", 9), busy("c", 5), busy("d", 2)), Bounds(models=2))
    found = {
        dict(row)["model"]: value for (name, row), value in seen.values.items() if "requests_total" in name
    }
    assert found == {"b": 9, "c": 5, "other": 3}
    assert seen.of("steward_ai_requests_running", **labels("vllm", model="other")) == 2
    contexts = [dict(row)["model"] for name, row in seen.values if name == "steward_ai_model_context_tokens"]
    assert contexts == ["b", "c"], "lengths of contexts cannot be summed"


def test_who_has_a_name_keeps_it():
    """Counters that move between a name and `other` would look like restarts."""
    teller = Teller("vllm", "here", Bounds(models=1))
    teller.families(reading(busy("a", 2), busy("b", 1)))
    seen = parse(Renderer().render(teller.families(reading(busy("a", 2), busy("b", 100)))))
    assert seen.of("steward_ai_requests_total", **labels("vllm", model="other", result="success")) == 100


def test_people_beyond_the_bound_are_other():
    uses = tuple(
        Use(Person(f"u{number}", "", "", ""), {"success": float(number)}, {}, 1.0, 2.0)
        for number in range(50)
    )
    seen = told("litellm", reading(uses=uses), Bounds(people=10, with_people=True))
    rows = [row for name, row in seen.values if name == "steward_ai_user_requests_total"]
    assert len(rows) == 11
    other = labels("litellm", user="other", end_user="other", team="other", key="other")
    assert seen.of("steward_ai_user_requests_total", **other, result="success") == sum(range(40))
    assert seen.of("steward_ai_user_request_duration_seconds_sum", **other) == 40


def test_a_server_that_calls_something_other_itself():
    """LiteLLM does so with models that it does not know; a series must not occur twice."""
    others = Use(Person("other", "other", "other", "other"), {"success": 1.0})
    uses = (others, *(Use(Person(f"u{number}", "", "", ""), {"success": 1.0}) for number in range(3)))
    models = (busy("other", 5), busy("a", 3), busy("b", 2))
    seen = told("litellm", reading(*models, uses=uses), Bounds(models=1, people=1, with_people=True))
    assert seen.of("steward_ai_requests_total", **labels("litellm", model="other", result="success")) == 7
    person = labels("litellm", user="other", end_user="other", team="other", key="other")
    assert seen.of("steward_ai_user_requests_total", **person, result="success") == 3


def test_histograms_with_other_buckets_keep_those_that_both_have():
    one = Histogram({0.5: 1, 1.0: 2, float("inf"): 3}, 4, 3)
    one.add(Histogram({1.0: 5, 2.0: 6, float("inf"): 7}, 8, 7))
    assert one == Histogram({1.0: 7, float("inf"): 10}, 12, 10)


def test_two_servers_share_a_metric():
    families = merged([Teller("vllm", name, Bounds()).down() for name in ("one", "two")])
    assert len(parse(Renderer().render(families)).values) == 2


BAD_PS = {
    "no JSON": b"{",
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "models is an object": b'{"models":{}}',
    "no name": b'{"models":[{"size":1}]}',
    "a long name": b'{"models":[{"name":"%s"}]}' % (b"x" * 300),
    "size as text": b'{"models":[{"name":"a","size":"1"}]}',
    "size below nothing": b'{"models":[{"name":"a","size":-1}]}',
    "size NaN": b'{"models":[{"name":"a","size":NaN}]}',
}


@pytest.mark.parametrize("body", BAD_PS.values(), ids=BAD_PS.keys())
def test_bad_answers_of_ollama(body):
    with pytest.raises(SourceError):
        ollama.running(body)


BAD_METRICS = {
    "not UTF-8": b"vllm:num_requests_running\xff 1\n",
    "open label": b'vllm:num_requests_running{a="b 1\n',
    "no value": b"vllm:num_requests_running\n",
    "text as value": b"vllm:num_requests_running many\n",
    "a very long line": b'vllm:num_requests_running{a="' + b"x" * 100_000 + b'"} 1\n',
    "too many lines": b"\n" * 300_000,
}


@pytest.mark.parametrize("body", BAD_METRICS.values(), ids=BAD_METRICS.keys())
def test_bad_metrics(body):
    with pytest.raises(SourceError):
        vllm.parse_metrics(body)


def test_values_that_are_none_are_passed_over():
    body = b'vllm:num_requests_running{model_name="a"} NaN\nvllm:num_requests_waiting{model_name="a"} -1\n'
    assert vllm.parse_metrics(body) == ()


def test_names_with_quotes_and_line_ends():
    body = rb'vllm:num_requests_running{model_name="a\"b\\c\nd"} 1' + b"\n"
    [model] = vllm.parse_metrics(body)
    assert model.name == 'a"b\\c\nd'
    told("vllm", reading(model))


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_a_server_says_is_read_or_refused(body):
    for parse_it in (ollama.running, ollama.on_disk, vllm.parse_metrics, litellm.parse_metrics):
        try:
            parse_it(body)
        except ExporterError:
            continue


@given(st.data())
def test_a_damaged_answer_never_yields_a_page_that_cannot_be_read(data):
    whole = saved(data.draw(st.sampled_from(["vllm_metrics.txt", "litellm_metrics.txt"])))
    start = data.draw(st.integers(0, len(whole)))
    body = (
        whole[:start] + data.draw(st.binary(max_size=4)) + whole[data.draw(st.integers(start, len(whole))) :]
    )
    try:
        accounts = litellm.parse_metrics(body)
        models = vllm.parse_metrics(body)
    except ExporterError:
        return
    told("it", reading(*models), Bounds(with_people=True))
    told(
        "it", reading(*accounts.models.values(), uses=tuple(accounts.uses.values())), Bounds(with_people=True)
    )


def test_what_nobody_told_anew_is_handed_out_again():
    """So that it is not rendered again for each scrape."""
    with serving(Behaviour(VLLM)) as url:
        collector = build(host({"collector.ai.vllm-url": (url, f"http://127.0.0.1:{free_port()}")}))
        try:
            assert collector.collect() is collector.collect()
        finally:
            collector.close()


def test_prometheus_reads_the_text():
    servers = {"ollama": (ollama.read, OLLAMA), "vllm": (vllm.read, VLLM), "litellm": (litellm.read, LITELLM)}
    families = []
    for service, (read, answers) in servers.items():
        with serving(Behaviour(answers)) as url:
            families.append(Teller(service, "here", Bounds(with_people=True)).families(read(fetch(url))))
    argv = [str(real_server("promtool")), "check", "metrics"]
    text = Renderer().render(merged(families)).encode()
    done = subprocess.run(argv, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
