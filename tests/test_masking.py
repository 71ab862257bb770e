import pytest

from edge.config.source import parse_source
from edge.masking import mask, mask_url, stream_name

LOGINS = [
    "admin:geheim",
    "admin:#geheim24",
    "admin:/geheim",
    "admin:12/geheim",
    "admin:123#geheim",
    "admin:?geheim",
    "admin:p@geheim",
    "admin:geheim@x",
    "admin:p@ss#geheim/x",
    "admin:geheim word",
    "admin: geheim ",
    "admin:a://geheim",
    "admin:x y://geheim",
    "admin:p%40geheim",
    "admin:[geheim]",
    "admin:\tgeheim",
    "geheim",
    ":geheim",
    "admin:geheim:geheim",
    "ädmin:geheim",
]


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "HTTPS"])
@pytest.mark.parametrize("login", LOGINS)
def test_a_stream_is_named_by_scheme_host_port_and_path_whatever_its_password_holds(scheme: str, login: str) -> None:
    url = f"{scheme}://{login}@cam.local:554/1"
    assert parse_source(url).name == f"{scheme}://cam.local:554/1"
    assert mask_url(url) == f"{scheme}://***@cam.local:554/1"


@pytest.mark.parametrize("login", [login for login in LOGINS if "y://" not in login])
def test_a_url_in_a_line_of_text_is_masked_whatever_its_password_holds(login: str) -> None:
    assert mask(f"open rtsp://{login}@cam:554/1: refused") == "open rtsp://***@cam:554/1: refused"


@pytest.mark.parametrize(
    "query",
    [
        "loginuse=admin&loginpas=geheim",
        "psw=geheim",
        "authbasic=geheim",
        "p=geheim",
        "auth=geheim&x=1",
        "key=geheim",
        "credentials=geheim",
        "geheim",
        "a=1&geheim",
        "x=1?key=geheim",
    ],
)
def test_a_login_in_the_query_is_in_no_name_and_no_line(query: str) -> None:
    url = f"http://cam/videostream.cgi?{query}"
    assert stream_name(url) == "http://cam/videostream.cgi"
    assert mask_url(url) == "http://cam/videostream.cgi?***"
    assert mask(f"GET {url} failed") == "GET http://cam/videostream.cgi?*** failed"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("rtsp://cam", "rtsp://cam"),
        ("rtsp://[fe80::1]:554/live/ch0", "rtsp://[fe80::1]:554/live/ch0"),
        ("rtsp://[::1]", "rtsp://[::1]"),
        ("rtsp://admin:geheim@[::1]:554/1", "rtsp://[::1]:554/1"),
        ("rtsp://cam:554/user=admin_password=geheim_channel=1.sdp", "rtsp://cam:554/user=***"),
        ("rtsp://cam/user=admin&password=geheim&channel=1/x", "rtsp://cam/user=***/x"),
        ("http://cam/x?login=admin&password=p@geheim", "http://***"),
        ("http://admin:a?b=geheim@cam/x", "http://***"),
        ("rtsp://cam/live#geheim", "rtsp://cam/live"),
        ("rtsp://admin:geheim", "rtsp://admin:***"),
        ("rtsp://admin:ge/heim", "rtsp://admin:***"),
        ("http://cam:80/a%20b/@1080", "http://1080"),
    ],
)
def test_a_name_of_a_stream_leaves_out_what_may_be_secret(url: str, name: str) -> None:
    assert stream_name(url) == name
    assert not any(secret in mask_url(url) for secret in ("geheim", "heim"))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("cannot open rtsp://a:b@c/d or rtsp://e:f@g", "cannot open rtsp://***@c/d or rtsp://***@g"),
        ("http://mirror/x: 404; next 'https://u:p@b/y?k=v'", "http://mirror/x: 404; next 'https://***@b/y?***'"),
        ("rtsp://cam/user=admin&password=geheim&channel=1", "rtsp://cam/user=admin&password=***&channel=1"),
        ("first rtsp://a:b@c\nthen d@e", "first rtsp://***@c\nthen d@e"),
        ("/dev/video0", "/dev/video0"),
        ("write to me@home", "write to me@home"),
        ("what? table.key=value", "what? table.key=value"),
        ("", ""),
    ],
)
def test_the_rest_of_a_text_is_kept(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("piece", ["://:", "://", "://a@", "a", "?", "?a=", "@", "x://?", " a://:", "pass", "=", "/"])
def test_a_long_text_of_a_stranger_is_masked_in_linear_time(piece: str) -> None:
    text = "x://" + piece * 500_000  # in quadratic time this takes hours
    assert len(mask(text)) < 3 * len(text)
    assert len(mask_url(text)) < 3 * len(text)
    assert len(stream_name(text)) < 3 * len(text)


def test_a_question_mark_behind_a_url_ends_a_sentence() -> None:
    text = "http://127.0.0.1:9/models.toml: what came is a web page (a login page of the network?)"
    assert mask(text) == text
    assert mask("at http://cam/x?token=1 is nobody (sure?)") == "at http://cam/x?*** is nobody (sure?)"
    assert mask("rtsp://me:a b@cam/1 is away (why?)") == "rtsp://***@cam/1 is away (why?)"
