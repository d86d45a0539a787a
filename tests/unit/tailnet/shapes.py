"""Policy files of the shapes that their owners write, each complete and acceptable to a policy server."""

from __future__ import annotations

from tests.unit.tailnet.policies import DEFAULT_POLICY

_RULE = '{"action": "accept", "src": ["group:a"], "dst": ["tag:x:22"]}'
_GRANT = '{"src": ["group:a"], "dst": ["tag:x"], "ip": ["tcp:22"]}'
_BASE = '"groups": {"group:a": ["alice@example.com"]}, "tagOwners": {"tag:x": ["group:a"]}'
_COMMENTED = """/* head
   over two lines */ // and one more
{ // after the brace
	/* before a key */ "groups" /* after a key */ : /* before a value */ {
		// above
		"group:a": [ /* in */ "alice@example.com" /* behind */ , // after the comma
		], // after the bracket
		// last in the object
	}, // after the section
	"tagOwners": {
		"tag:x": ["group:a"], // tag:x, not /* a comment */ "in": "disguise"
	},
	"grants": [
		// "quotes" in a comment, and a brace }
		{"src": ["group:a"], "dst": ["tag:x"], /* why */ "ip": ["tcp:22"]}, // behind a grant
		// nothing but a comment at the end
	],
	// the very last
} // tail
// after the end
"""


def _large(rules: int, padding: int = 0) -> str:
    users = ", ".join(f'"user{number}@example.com"' for number in range(20))
    lines = "".join(
        f"\t\t// Rule {number}{' ' + '·' * padding if padding else ''}\n"
        f'\t\t{{"action": "accept", "src": ["group:all"], "dst": ["tag:x:{1000 + number}"]}},\n'
        for number in range(rules)
    )
    return (
        f'{{\n\t"groups": {{"group:all": [{users}]}},\n\t"tagOwners": {{"tag:x": ["group:all"]}},\n'
        f'\t"acls": [\n{lines}\t],\n}}\n'
    )


SHAPES: dict[str, str] = {
    "default": DEFAULT_POLICY,
    "default of old": (
        '{\n  "acls": [\n    // everybody\n    {"action": "accept", "src": ["*"], "dst": ["*:*"]},\n  ]\n}\n'
    ),
    "empty object": "{}",
    "empty object over lines": "{\n}\n",
    "empty sections on a line": '{"tagOwners": {}, "grants": [], "tests": []}',
    "empty sections over lines": '{\n\t"tagOwners": {\n\t},\n\t"grants": [\n\t],\n\t"tests": [\n\t],\n}\n',
    "empty section with comment": '{\n\t"grants": [ // none yet\n\t],\n\t"tests": [ /* none */ ],\n}\n',
    "nobody may": '{"acls": []}',
    "comments everywhere": _COMMENTED,
    "comments with CRLF": _COMMENTED.replace("\n", "\r\n"),
    "minified": f'{{{_BASE},"acls":[{_RULE}],"grants":[{_GRANT}]}}'.replace(" ", ""),
    "plain JSON, two spaces": f'{{\n  {_BASE},\n  "grants": [\n    {_GRANT}\n  ]\n}}',
    "JSON without a final newline": f'{{\n    {_BASE},\n    "acls": [\n        {_RULE}\n    ]\n}}',
    "trailing commas": f'{{\n\t{_BASE},\n\t"grants": [\n\t\t{_GRANT},\n\t],\n}}\n',
    "no indentation": f'{{\n{_BASE},\n"grants": [\n{_GRANT},\n{_GRANT}\n]\n}}\n',
    "leading commas": f'{{\n  {_BASE}\n, "grants": [\n    {_GRANT}\n  , {_GRANT}\n  ]\n}}\n',
    "bracket on the last line": f'{{{_BASE},\n "grants": [\n   {_GRANT}]}}',
    "comment on the last element": f'{{{_BASE},\n "grants": [\n   {_GRANT} // last, no comma\n ]}}\n',
    "comment before the comma": f'{{{_BASE},\n "grants": [\n   {_GRANT} /* odd */ ,\n ]}}\n',
    "acls and grants mixed": f'{{\n\t{_BASE},\n\t"acls": [{_RULE}],\n\t"grants": [{_GRANT}],\n}}\n',
    "groups": '{"groups": {"group:a": ["a@example.com", "b@example.com"], "group:b": []}, "acls": []}',
    "hosts": '{"hosts": {"nas": "100.64.9.9", "lan": "192.168.7.0/24"}, "acls": []}',
    "hosts in rules": (
        '{"hosts": {"nas": "100.64.9.9"}, "acls": [{"action": "accept", "src": ["nas"], "dst": ["nas:445"]}]}'
    ),
    "ssh": (
        f'{{{_BASE}, "acls": [{_RULE}],\n"ssh": [{{"action": "check", "src": ["autogroup:member"],'
        ' "dst": ["autogroup:self"], "users": ["autogroup:nonroot", "root"]}]}'
    ),
    "nodeAttrs": (
        f'{{{_BASE}, "acls": [{_RULE}],\n"nodeAttrs": [{{"target": ["autogroup:member"], "attr": ["funnel"]}}]}}'
    ),
    "autoApprovers": (
        f'{{{_BASE}, "acls": [{_RULE}],\n'
        '"autoApprovers": {"routes": {"10.0.0.0/8": ["tag:x"]}, "exitNode": ["tag:x"]}}'
    ),
    "postures": (
        f'{{{_BASE}, "postures": {{"posture:l": ["node:os == \'linux\'"]}},\n'
        '"grants": [{"src": ["group:a"], "dst": ["tag:x"], "ip": ["*"], "srcPosture": ["posture:l"]}]}'
    ),
    "derpMap and switches": (
        f'{{{_BASE}, "derpMap": {{"OmitDefaultRegions": true}}, "randomizeClientPort": true, "acls": []}}'
    ),
    "its own tests": (
        f'{{{_BASE}, "acls": [{_RULE}],\n\t"tests": [\n'
        '\t\t{"src": "alice@example.com", "accept": ["tag:x:22"], "deny": ["tag:x:23"]}, // mine\n\t]}'
    ),
    "unicode": (
        "// Zugänge für die Büros — 邮件, почта, 📬\n"
        f'{{{_BASE},\n\t"grants": [\n\t\t// é\u00e8\u0301\u2028 ünïcödé\n\t\t{_GRANT},\n\t],\n}}\n'
    ),
    "escapes": '{"\\u0067roups": {"group:a": ["alice\\u0040example.com"]}, "acls": []}',
    "the tags with their owners": (
        '{"tagOwners": {"tag:mail": ["autogroup:admin"], "tag:stalwart": ["autogroup:admin"]}, "acls": []}'
    ),
    "an unmanaged grant that equals a managed one": (
        '{"tagOwners": {"tag:mail": ["autogroup:admin"], "tag:stalwart": ["autogroup:admin"]},\n'
        ' "grants": [{"dst": ["tag:mail"], "src": ["tag:stalwart"], "ip": ["tcp:587"]}]}'
    ),
    "1,000 rules": _large(1000),
    "500 KB": _large(1000, padding=250),
}
