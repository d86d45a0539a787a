"""The Spaceship API's contract (https://docs.spaceship.dev), call by call on the list alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.control.spaceship import Registry
from tests.unit.fake_spaceship.conftest import ZONE, Api

A = {"type": "A", "name": "mail", "address": "192.0.2.1"}
SPF = {"type": "TXT", "name": "@", "value": "v=spf1 mx -all"}
TLSA = {"type": "TLSA", "name": "mail", "port": "_25", "protocol": "_tcp", "usage": 3, "selector": 1, "matching": 1,
        "associationData": "ab" * 32}  # fmt: skip
CAA = {"type": "CAA", "name": "@", "flag": 0, "tag": "issue", "value": "letsencrypt.org"}
FOREIGN = (
    {"type": "CNAME", "name": "shop", "cname": "shops.example.net", "group": {"type": "product"}},
    {"type": "A", "name": "ns1", "address": "192.0.2.53", "group": {"type": "personalNs"}},
)


class TestAuthentication:
    @pytest.mark.parametrize("header", ["X-Api-Key", "X-Api-Secret"])
    def test_a_wrong_key_or_secret_is_unauthorized(self, api: Api, header: str) -> None:
        refused = api.call("GET", params={"take": 1, "skip": 0}, headers={header: "wrong"})
        assert refused.status_code == 401
        assert refused.headers["spaceship-error-code"] == "application.unauthorized"
        assert refused.json()["detail"]

    def test_missing_headers_are_unauthorized(self, api: Api) -> None:
        assert api.call("GET", headers={"X-Api-Key": None, "X-Api-Secret": None}).status_code == 401


class TestListing:
    def test_an_item_shows_its_members_ttl_and_group(self, api: Api) -> None:
        api.put({**A, "ttl": 600})
        assert api.items() == [{**A, "ttl": 600, "group": {"type": "custom"}}]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"skip": 0}, "take"),
            ({"take": 5}, "skip"),
            ({"take": 0, "skip": 0}, "take"),
            ({"take": 501, "skip": 0}, "take"),
            ({"take": 5, "skip": -1}, "skip"),
            ({"take": 5, "skip": 0, "orderBy": "ttl"}, "orderBy"),
        ],
    )
    def test_take_and_skip_are_required_and_bounded(self, api: Api, query: dict[str, object], field: str) -> None:
        refused = api.call("GET", params=query)
        assert refused.status_code == 422
        assert refused.json()["data"][0]["field"] == field

    def test_pages_cover_everything_once(self, api: Api) -> None:
        addresses = {f"192.0.2.{n}" for n in range(1, 13)}
        api.put(*({**A, "address": address} for address in addresses))
        pages = [api.call("GET", params={"take": 5, "skip": skip, "orderBy": "name"}).json()
                 for skip in (0, 5, 10, 15)]  # fmt: skip
        assert [len(page["items"]) for page in pages] == [5, 5, 2, 0]
        assert {page["total"] for page in pages} == {12}
        assert {item["address"] for page in pages for item in page["items"]} == addresses

    def test_without_an_order_pages_of_one_zone_need_not_fit_together(self, api: Api) -> None:
        api.put(*({**A, "address": f"192.0.2.{n}"} for n in range(1, 13)))
        pages = [api.call("GET", params={"take": 6, "skip": skip}).json()["items"] for skip in (0, 6)]
        assert len({item["address"] for page in pages for item in page}) < 12
        ordered = [api.call("GET", params={"take": 6, "skip": n, "orderBy": "name"}).json()["items"] for n in (0, 6)]
        assert len({item["address"] for page in ordered for item in page}) == 12

    def test_order_by_type(self, api: Api) -> None:
        api.put(SPF, A)
        answer = api.call("GET", params={"take": 5, "skip": 0, "orderBy": "-type"})
        assert [item["type"] for item in answer.json()["items"]] == ["TXT", "A"]

    def test_an_unknown_domain_is_404(self, api: Api) -> None:
        assert api.call("GET", "/other.test", params={"take": 1, "skip": 0}).status_code == 404


class TestPut:
    def test_it_answers_204_without_a_body(self, api: Api) -> None:
        answer = api.put(A)
        assert (answer.status_code, answer.content) == (204, b"")

    def test_a_changed_value_is_a_second_record(self, api: Api) -> None:
        api.put(SPF)
        api.put({**SPF, "value": "v=spf1 mx ~all"})
        assert len(api.items()) == 2

    def test_the_same_record_with_another_ttl_changes_the_ttl(self, api: Api) -> None:
        api.put({**A, "ttl": 3600})
        api.put({**A, "ttl": 300})
        assert [item["ttl"] for item in api.items()] == [300]

    @pytest.mark.parametrize(
        ("first", "second", "count"),
        [
            (A, {**A, "name": "MAIL"}, 1),
            (
                {"type": "CNAME", "name": "x", "cname": "Host.Example.net"},
                {"type": "CNAME", "name": "x", "cname": "host.example.NET"},
                1,
            ),
            (SPF, {**SPF, "value": "V=SPF1 mx -all"}, 2),
            (
                {"type": "AAAA", "name": "m", "address": "2001:DB8::1"},
                {"type": "AAAA", "name": "m", "address": "2001:db8:0::1"},
                1,
            ),
        ],
        ids=["name", "host", "text", "address"],
    )
    def test_case_matters_in_txt_values_only(
        self, api: Api, first: dict[str, object], second: dict[str, object], count: int
    ) -> None:
        api.put(first, force=True)
        api.put(second, force=True)
        assert len(api.items()) == count

    @pytest.mark.parametrize("ttl", [59, 3601, "600", None, True])
    def test_the_ttl_is_between_60_and_3600(self, api: Api, ttl: object) -> None:
        refused = api.put({**A, "ttl": ttl})
        assert refused.status_code == 422
        assert refused.json()["data"][0]["field"] == "items[0].ttl"
        assert api.items() == []

    @pytest.mark.parametrize(
        ("item", "field"),
        [
            ({**A, "address": "2001:db8::1"}, "address"),
            ({**A, "address": "host"}, "address"),
            ({"type": "A", "address": "192.0.2.1"}, "name"),
            ({**A, "name": "mail.example.test."}, "name"),
            ({**A, "type": "LOC"}, "type"),
            ({**A, "group": {"type": "custom"}}, "group"),
            ({**SPF, "value": ""}, "value"),
            ({"type": "MX", "name": "@", "exchange": "mail.example.test", "preference": "10"}, "preference"),
            ({"type": "SRV", "name": "@", "protocol": "_tcp", "priority": 0, "weight": 1, "port": 993,
              "target": "m.x"}, "service"),
            ({**TLSA, "port": "25"}, "port"),
            ({**TLSA, "port": True}, "port"),
            ({**TLSA, "associationData": "ab" * 31}, "associationData"),
            ({**CAA, "tag": "issues"}, "tag"),
            ({**CAA, "tag": "issuemail"}, "tag"),
            ({**CAA, "flag": 1}, "flag"),
            ({**CAA, "value": ""}, "value"),
            ({**CAA, "value": "grüße"}, "value"),
            ({**SPF, "value": " \t\n"}, "value"),
            ({**SPF, "value": "ü" * 32768}, "value"),
            ({**SPF, "name": "grüße"}, "name"),
            ({"type": "MX", "name": "@", "exchange": ".", "preference": 0}, "exchange"),
            ({"type": "MX", "name": "@", "exchange": "mail.example.test.", "preference": 0}, "exchange"),
            ({"type": "SRV", "name": "@", "service": "_imap", "protocol": "_tcp", "priority": 0, "weight": 0,
              "port": 143, "target": "."}, "target"),
            ({"type": "CNAME", "name": "x", "cname": "@"}, "cname"),
            ({"type": "HTTPS", "name": "x", "svcPriority": 1, "targetName": ".", "port": "_443"}, "scheme"),
        ],
    )  # fmt: skip
    def test_wrong_items_are_422_and_name_the_member(self, api: Api, item: dict[str, object], field: str) -> None:
        refused = api.put(SPF, item)
        assert refused.status_code == 422
        assert refused.json()["data"][0]["field"] == f"items[1].{field}"
        assert api.items() == []

    @pytest.mark.parametrize("body", ["", "[]", '{"items": []}', '{"items": {}}', '{"force": "yes", "items": []}'])
    def test_wrong_bodies_are_422(self, api: Api, body: str) -> None:
        assert api.call("PUT", data=body).status_code == 422

    def test_a_port_label_is_taken_and_given_in_both_forms(self, api: Api) -> None:
        api.put(TLSA, {**TLSA, "port": 465}, {**TLSA, "port": "_993"}, {**TLSA, "port": "*"})
        ports = {str(item["port"]): type(item["port"]) for item in api.items()}
        assert {name.removeprefix("_") for name in ports} == {"25", "465", "993", "*"}
        assert set(ports.values()) == {str, int}
        assert api.put({**TLSA, "port": 25}, {**TLSA, "port": "_25", "associationData": "AB " * 31 + "AB"}).ok
        assert len(api.items()) == 4, "the same record in another form"

    def test_more_than_500_items_are_422(self, api: Api) -> None:
        many = [{**SPF, "value": f"note {number}"} for number in range(501)]
        assert api.put(*many).status_code == 422
        assert api.put(*many[:500]).status_code == 204
        api.put(many[500])
        assert api.delete(*many).status_code == 422

    def test_an_alias_of_the_domain_itself_becomes_a_cname_that_stands_beside_others(self, api: Api) -> None:
        api.put(SPF)
        assert api.put({"type": "ALIAS", "name": "@", "aliasName": "shop.example.net"}).status_code == 204
        assert {item["type"]: item.get("cname") for item in api.items()} == {"TXT": None, "CNAME": "shop.example.net"}

    def test_without_force_a_cname_stands_alone(self, api: Api) -> None:
        alias = {"type": "CNAME", "name": "mail", "cname": "other.example.net"}
        api.put(A)
        refused = api.put(alias)
        assert refused.status_code == 422
        assert len(api.items()) == 1
        assert api.put(alias, force=True).status_code == 204
        assert len(api.items()) == 2


class TestDelete:
    def test_a_bare_array_is_204(self, api: Api) -> None:
        api.put(A, SPF)
        assert api.delete(A).status_code == 204
        assert [item["type"] for item in api.items()] == ["TXT"]

    def test_an_object_is_422_should_be_array(self, api: Api) -> None:
        api.put(A)
        refused = api.call("DELETE", json={"items": [A]})
        assert refused.status_code == 422
        assert refused.json()["data"][0]["details"] == "should be array"
        assert len(api.items()) == 1

    def test_a_ttl_in_it_is_422(self, api: Api) -> None:
        api.put(A)
        assert api.delete({**A, "ttl": 3600}).status_code == 422

    def test_what_is_already_gone_is_404_and_nothing_else_goes(self, api: Api) -> None:
        api.put(A)
        assert api.delete(A, SPF).status_code == 404
        assert len(api.items()) == 1

    def test_names_match_without_regard_to_case_and_txt_values_exactly(self, api: Api) -> None:
        api.put(A, SPF)
        assert api.delete({**A, "name": "MAIL"}).status_code == 204
        assert api.delete({**SPF, "value": "V=spf1 mx -all"}).status_code == 404


class TestGroups:
    @pytest.fixture
    def owned(self, serve: Callable[..., Api]) -> Api:
        return serve(Registry([ZONE], foreign=FOREIGN))

    def test_items_of_products_and_personal_name_servers_are_listed(self, owned: Api) -> None:
        assert {item["group"]["type"] for item in owned.items()} == {"product", "personalNs"}  # type: ignore[index]  # JSON

    def test_they_can_be_neither_written_nor_deleted(self, owned: Api) -> None:
        shop = {"type": "CNAME", "name": "shop", "cname": "shops.example.net"}
        assert owned.put({**shop, "ttl": 60}, force=True).status_code == 422
        assert owned.delete(shop).status_code == 422
        assert len(owned.items()) == 2


class TestRateLimit:
    def test_the_limit_is_429_with_retry_after(self, serve: Callable[..., Api]) -> None:
        api = serve(Registry([ZONE]), rate=(3, 300.0))
        answers = [api.call("GET", params={"take": 1, "skip": 0}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 300
        assert answers[-1].headers["spaceship-error-code"] == "application.rateLimit"
