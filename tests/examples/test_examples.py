"""The examples run, as their users would run them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import ROOT, compare, read_blocks
from tocsin import IncidentManager

EXAMPLES = ROOT / "examples"
SHORT = 60
SECONDS = 45.0
"""How long a program may take to do what is waited for."""

pytestmark = pytest.mark.timeout(120)


@contextmanager
def started(*command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that has to be stopped."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def stop(process: subprocess.Popen[str]) -> str:
    """Stop a program as its operator would; give what else it wrote."""
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, rest
    return rest


@pytest.mark.parametrize("name", ["asyncio_daemon", "fastapi_lifespan", "threaded_daemon"])
def test_example_is_short(name: str) -> None:
    text = (EXAMPLES / name / "main.py").read_text("utf-8")
    assert len(text.splitlines()) <= SHORT
    assert text.startswith('"""')


def test_asyncio_daemon(tmp_path: Path) -> None:
    with started(str(EXAMPLES / "asyncio_daemon" / "main.py"), folder=tmp_path) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("opened: "):
                break
        assert lines[-1:] == ["opened: high 10 errors from printing within 5m\n"], lines
        stop(process)


def test_fastapi_lifespan(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = str(EXAMPLES / "fastapi_lifespan")
    arguments = ("-m", "uvicorn", "main:app", "--app-dir", folder, "--port", str(port))
    with (
        started(*arguments, folder=tmp_path) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS) as client,
    ):
        wait_until_it_answers(client)
        assert client.post("/orders/2").json() == {"order": 2}
        for _ in range(10):
            assert client.post("/orders/3").status_code == httpx.codes.BAD_GATEWAY
        found = wait_for_incidents(client)
        assert [incident["title"] for incident in found] == ["10 errors from orders within 5m"]
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=SECONDS)
        assert "Application shutdown complete" in output


def wait_until_it_answers(client: httpx.Client) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            client.get("/incidents")
        except httpx.TransportError:
            assert time.monotonic() < end, "the application does not answer"
            time.sleep(0.1)
        else:
            return


def wait_for_incidents(client: httpx.Client) -> list[dict[str, str]]:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found: list[dict[str, str]] = client.get("/incidents").json()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("no incident was opened")


def test_threaded_daemon(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "threaded_daemon" / "main.py")],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.stdout == "critical tape-drive is down: 5 reports within 1m\n"


def test_quickstart(tmp_path: Path) -> None:
    """What `make run` runs says what the README shows, and does not say it twice."""
    shutil.copytree(
        EXAMPLES / "quickstart",
        tmp_path / "quickstart",
        ignore=shutil.ignore_patterns("*.db*"),
    )
    figure = next(b for b in read_blocks(ROOT / "README.md") if "figure" in b.directives)
    for opened in (["10 errors from api within 5m"], []):
        output = run_quickstart(tmp_path)
        assert "watching: machine, log" in output
        if opened:
            compare(figure, figure.text.splitlines(), output)
        assert [title for title in ["10 errors from api within 5m"] if title in output] == opened
    assert asyncio.run(count_incidents(tmp_path / "quickstart")) == 1


def run_quickstart(folder: Path) -> str:
    settings = "quickstart/tocsin.yaml"
    command = [sys.executable, "-m", "tocsin", "run", "--config", settings, "--for", "4s"]
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS
    )
    return done.stdout + done.stderr


async def count_incidents(folder: Path) -> int:
    async with IncidentManager({"database": str(folder / "quickstart.db")}) as manager:
        count: int = manager.get_statistics()["total_incidents"]
        return count
