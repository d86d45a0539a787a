"""fetch-caddy.sh, run by dash as the image's build runs it, against a download service with every known fault."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from pathlib import Path

import pytest

from tests.templates.edge.downloads import Answer, DownloadService, binary, redirect, refusal, silence

SCRIPT = Path(__file__).parents[3] / "templates" / "edge" / "fetch-caddy.sh"
L4 = "github.com/mholt/caddy-l4"
MAINTENANCE = refusal(502, "<html>Bad gateway</html>")


def fetch(service: DownloadService, target: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "CADDY_URL": service.url,
        "CADDY_MODULES": L4,
        "CADDY_SHA256": "",
        "CADDY_TARGET": str(target),
        "CADDY_ATTEMPTS": "2",
        "CADDY_PAUSE": "0",
        **extra,
    }
    return subprocess.run(["dash", SCRIPT], check=False, env=environment, capture_output=True, text=True, timeout=120)


def failure(target: Path, *answers: Answer, **extra: str) -> str:
    """The words of a fetch that must fail and leave nothing behind."""
    with DownloadService(list(answers)).running() as service:
        result = fetch(service, target, **extra)
    assert result.returncode == 1, result.stderr
    assert list(target.parent.iterdir()) == []
    return result.stderr


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "caddy"


def test_a_good_binary_is_installed_and_its_digest_recorded(caddy: Path, target: Path) -> None:
    content = caddy.read_bytes()
    with DownloadService([binary(content)]).running() as service:
        result = fetch(service, target, CADDY_MACHINE="x86_64", CADDY_MODULES=f"{L4}@v0.1.2 example.org/x@v1.2.3")
    assert result.returncode == 0, result.stderr
    assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o755
    assert (target.parent / "caddy.sha256").read_text() == hashlib.sha256(content).hexdigest() + "\n"
    assert service.queries == [{"os": ["linux"], "arch": ["amd64"], "p": [f"{L4}@v0.1.2", "example.org/x@v1.2.3"]}]
    assert sorted(path.name for path in target.parent.iterdir()) == ["caddy", "caddy.sha256"]


def test_maintenance_is_waited_out(caddy: Path, target: Path) -> None:
    with DownloadService([MAINTENANCE, binary(caddy.read_bytes())]).running() as service:
        result = fetch(service, target)
    assert result.returncode == 0, result.stderr
    assert "HTTP 502" in result.stderr


def test_maintenance_that_does_not_end_fails_after_the_last_try(target: Path) -> None:
    words = failure(target, MAINTENANCE)
    assert "the download failed 2 times" in words
    assert "HTTP 502: <html>Bad gateway</html>" in words
    assert "remedy:" in words


def test_a_refused_build_shows_the_services_message_and_is_not_asked_again(target: Path) -> None:
    body = '{"status_code":400,"error":{"message":"no such module: example.org/x@v9","id":"7f3c"}}'
    with DownloadService([refusal(400, body)]).running() as service:
        result = fetch(service, target)
    assert result.returncode == 1
    assert "refused the build: no such module: example.org/x@v9" in result.stderr
    assert "CADDY_PLUGINS" in result.stderr
    assert len(service.queries) == 1


def test_a_redirect_out_of_tls_is_not_followed(caddy: Path, target: Path) -> None:
    with DownloadService([binary(caddy.read_bytes())]).running() as elsewhere:
        words = failure(target, redirect(elsewhere.url))
        assert elsewhere.queries == []
    assert "redirects to something that is not https" in words
    assert "remedy: set CADDY_DOWNLOAD_URL" in words


def test_a_build_that_never_ends_is_given_up(target: Path) -> None:
    released = threading.Event()
    words = failure(target, silence(released), CADDY_MAX_TIME="1")
    released.set()
    assert "the download failed 2 times" in words


def test_a_transfer_cut_short_is_tried_again(caddy: Path, target: Path) -> None:
    content = caddy.read_bytes()
    short = binary(content[: len(content) // 2], announced=len(content))
    with DownloadService([short, binary(content)]).running() as service:
        result = fetch(service, target)
    assert result.returncode == 0, result.stderr
    assert target.read_bytes() == content


def test_a_truncated_binary_with_a_matching_length_is_found_by_running_it(caddy: Path, target: Path) -> None:
    content = caddy.read_bytes()
    words = failure(target, binary(content[: len(content) // 2]))
    assert "does not run" in words


def test_an_error_page_with_status_200_is_not_taken_for_a_program(target: Path) -> None:
    words = failure(target, binary(b"<!doctype html><title>Caddy</title>"))
    assert "is not a Linux program" in words
    assert "<!doctype html>" in words


def test_an_empty_answer_is_not_taken_for_a_program(target: Path) -> None:
    assert "is not a Linux program" in failure(target, binary(b""))


def test_a_binary_without_layer4_is_refused_by_name(target: Path) -> None:
    # A program that runs, says yes to everything and lists no module.
    words = failure(target, binary(Path("/bin/true").read_bytes()))
    assert "lacks the module layer4" in words


def test_a_pinned_digest_is_insisted_on(caddy: Path, target: Path) -> None:
    words = failure(target, binary(caddy.read_bytes()), CADDY_SHA256="0" * 64)
    assert "not the pinned binary" in words
    assert hashlib.sha256(caddy.read_bytes()).hexdigest() in words


def test_a_matching_pin_passes(caddy: Path, target: Path) -> None:
    digest = hashlib.sha256(caddy.read_bytes()).hexdigest()
    with DownloadService([binary(caddy.read_bytes())]).running() as service:
        assert fetch(service, target, CADDY_SHA256=digest).returncode == 0


@pytest.mark.parametrize(
    ("machine", "query"),
    [
        ("aarch64", {"arch": ["arm64"]}),
        ("armv7l", {"arch": ["arm"], "arm": ["7"]}),
        ("armv6l", {"arch": ["arm"], "arm": ["6"]}),
    ],
)
def test_the_hosts_own_architecture_is_asked_for(target: Path, machine: str, query: dict[str, list[str]]) -> None:
    with DownloadService([refusal(400, "{}")]).running() as service:
        fetch(service, target, CADDY_MACHINE=machine)
    assert service.queries == [{"os": ["linux"], "p": [L4], **query}]


def test_an_unknown_machine_is_named_before_anything_is_downloaded(target: Path) -> None:
    words = failure(target, MAINTENANCE, CADDY_MACHINE="s390x")
    assert "machine type 's390x'" in words


def test_a_service_that_is_not_there(target: Path) -> None:
    service = DownloadService([], url="http://127.0.0.1:1/api/download")
    result = fetch(service, target)
    assert result.returncode == 1
    assert "curl error 7" in result.stderr
    assert "the running edge is untouched" in result.stderr
