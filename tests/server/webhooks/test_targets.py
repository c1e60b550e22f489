"""Where nothing is sent, whatever it is called."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.errors import InvalidParameter
from myna.server.webhooks.targets import TargetRefused, check_address, parse_target, resolve_name, resolve_target

PUBLIC = "93.184.215.14"


def resolving(*addresses: str):  # type: ignore[no-untyped-def]
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return list(addresses)

    resolve.asked = asked  # type: ignore[attr-defined]
    return resolve


@pytest.mark.parametrize("url", ["https://example.com/hook?a=b", "https://example.com:8443", f"https://{PUBLIC}/",
                                 "https://[2606:4700::1111]/", "https://xn--exmple-cua.com/"])  # fmt: skip
def test_public_urls_will_do(url: str) -> None:
    assert str(parse_target(url, private=False)) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "hook", "//example.com/", "ftp://example.com/", "http://example.com/", "file:///etc/passwd", "https://",
        "https:///hook", "https://user@example.com/", "https://user:pass@example.com/", "https://example.com/#x",
        "https://example.com:0/", "https://example.com:99999/", "https://a b/", "https://a..b/", "https://%31%32%37.0.0.1/",
        "https://example.com/\r\nX: y", "https://[fe80::1%25eth0]/", "https://[::1", "https://-a-/", "https://\uff11\uff12\uff17.0.0.1/",
        "https://127.0.0.1/", "https://[::1]/", "https://0.0.0.0/", "https://10.1.2.3/", "https://169.254.169.254/latest",
        "https://[::ffff:127.0.0.1]/", "https://[fd00:ec2::254]/", "https://224.0.0.1/", "https://" + "a" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_public_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parse_target(url, private=False)
    assert refused.value.param == "url"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "http://localhost:9000/", "https://192.168.1.2/", "http://[::1]/"]
)
def test_who_may_sends_to_his_own_network(url: str) -> None:
    assert str(parse_target(url, private=True)) == url


@pytest.mark.parametrize(
    "url", ["http://0.0.0.0/", "http://169.254.169.254/", "https://[fd00:ec2::254]/", "http://224.0.0.1/",
            "http://255.255.255.255/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/", f"http://{PUBLIC}/"]
)  # fmt: skip
def test_not_even_he_sends_elsewhere(url: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_target(url, private=True)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        (PUBLIC, True, True),
        ("2606:4700::1111", True, True),
        ("64:ff9b::5db8:d70e", True, True),  # NAT64 of a public address
        ("127.0.0.1", False, True),
        ("127.255.255.254", False, True),
        ("::1", False, True),
        ("10.0.0.1", False, True),
        ("172.16.0.1", False, True),
        ("192.168.0.1", False, True),
        ("fd12::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("0.1.2.3", False, False),
        ("100.64.0.1", False, False),  # carriers' own
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("fd00:ec2::254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::", False, False),  # 6to4 of the same
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("240.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("192.0.2.1", False, False),
    ],
)
def test_addresses(address: str, public: bool, private: bool) -> None:
    for allowed, expected in ((False, public), (True, private)):
        try:
            check_address(ipaddress.ip_address(address), "https", private=allowed)
            passed = True
        except TargetRefused:
            passed = False
        assert passed is expected, allowed


async def test_a_name_is_resolved_once_and_its_address_pinned() -> None:
    resolve = resolving(PUBLIC, "2606:4700::1111", PUBLIC)
    targets = await resolve_target(
        parse_target("https://example.com:8443/a?b=c", private=False), private=False, resolve=resolve
    )
    assert [str(target.pinned) for target in targets] == [
        f"https://{PUBLIC}:8443/a?b=c",
        "https://[2606:4700::1111]:8443/a?b=c",
    ]
    assert {(target.host, target.host_header) for target in targets} == {("example.com", "example.com:8443")}
    assert resolve.asked == [("example.com", 8443)]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), (PUBLIC, "10.0.0.1"), ("::ffff:127.0.0.1",), ()])
async def test_a_name_with_any_other_address_is_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(TargetRefused):
        await resolve_target(
            parse_target("https://example.com/", private=False), private=False, resolve=resolving(*addresses)
        )


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "017700000001", "localhost"])
async def test_other_spellings_of_this_machine_are_seen_through(host: str) -> None:
    """The system's resolver takes them, so what it says counts."""
    with pytest.raises(TargetRefused):
        await resolve_target(parse_target(f"https://{host}/", private=False), private=False, resolve=resolve_name)


characters = st.sampled_from(
    [*"https://.:@[]%0129abxyz-_?#\\ \t\n\u202e\ud800", "127", "0x", "::1", "[::ffff:", "xn--"]
)


@given(rest=st.lists(characters, max_size=12).map("".join), scheme=st.sampled_from(["http://", "https://", ""]))
async def test_whatever_is_typed_is_refused_or_leads_where_it_may(rest: str, scheme: str) -> None:
    try:
        url = parse_target(scheme + rest, private=False)
    except InvalidParameter:
        return
    try:
        targets = await resolve_target(url, private=False, resolve=resolving(PUBLIC))
    except TargetRefused:
        return
    for target in targets:
        assert target.address.is_global
        assert target.pinned.host == str(target.address)
        assert (target.pinned.port, target.pinned.raw_path) == (url.port, url.raw_path)


async def test_plain_http_leaves_no_private_network() -> None:
    with pytest.raises(TargetRefused, match="https"):
        await resolve_target(parse_target("http://example.com/", private=True), private=True, resolve=resolving(PUBLIC))
