"""What a container engine does with a compose file, by network namespaces and sandboxes.

It reads commands, users, volumes, networks, addresses and restart policies from the file. Images
are not built: this machine's programs stand for what is in them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import sandbox
import yaml

ENTRYPOINTS = {"docker.io/prom/prometheus": ("prometheus",)}
"""Of images that are not ours: the program of the same name on this machine."""
IMAGE_FOLDER = "/var/lib/auror"
RESTART_AFTER_S = 0.5
PATIENCE = 120.0


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """``${NAME}`` and ``${NAME:-default}``, as compose reads them."""
    if isinstance(value, dict):
        return {key: interpolated(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub(
        r"\$\{(\w+)(?::-([^}]*))?\}",
        lambda m: variables.get(m.group(1)) or m.group(2) or "",
        value,
    )


def read(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file, with ``.env`` beside it below ``variables``."""
    settings = path.with_name(".env")
    lines = settings.read_text(encoding="utf-8").splitlines() if settings.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    whole = yaml.safe_load(path.read_text(encoding="utf-8"))
    found: dict[str, Any] = interpolated(whole, {**dict(pairs), **variables})
    return found


def inside(holder: int, *words: str) -> None:
    subprocess.run(["nsenter", f"--target={holder}", "--net", "--", *words], check=True)


@contextlib.contextmanager
def namespace() -> Iterator[int]:
    """A network namespace, as long as the process whose number is given lives."""
    words = ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "sh", "-c",
             "ip link set lo up && echo ready && exec sleep infinity"]  # fmt: skip
    holder = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            raise RuntimeError("no network namespace can be made: run as root on Linux")
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()


@dataclass
class Container:
    """One service."""

    name: str
    service: Mapping[str, Any]
    holder: int
    mounts: list[sandbox.Mount]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    codes: list[int] = field(default_factory=list)
    """How it ended, each time."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def argv(self) -> list[str]:
        image = self.service["image"].partition(":")[0]
        return [*ENTRYPOINTS.get(image, ()), *self.service["command"]]

    def command(self, argv: list[str]) -> list[str]:
        folder = self.service.get("working_dir", IMAGE_FOLDER)
        there = folder if any(mount.target == folder for mount in self.mounts) else "/"
        return sandbox.command(argv, user=self.service["user"], mounts=self.mounts,
                               folder=there, network_of=self.holder)  # fmt: skip

    def run(self) -> None:
        """Start, and start again as the restart policy says."""
        again = self.service["restart"] in {"always", "unless-stopped"}
        while not self.stopped.is_set():
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command(self.argv()), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            self.codes.append(self.process.wait())
            if not again or self.stopped.wait(RESTART_AFTER_S):
                return

    def signal(self, number: signal.Signals) -> None:
        """To process 1 of the container."""
        child = None if self.process is None else sandbox.within(self.process)
        if child is None:
            raise RuntimeError(f"{self.name} does not run: {self.text()[-2000:]}")
        os.kill(child, number)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


class Engine:
    """Plays a compose file; leaving it ends all processes and namespaces."""

    def __init__(self, path: Path, folder: Path, variables: Mapping[str, str]) -> None:
        self._path, self._folder, self._variables = path, folder, variables
        self._stack = contextlib.ExitStack()
        self._threads: dict[str, threading.Thread] = {}
        self.containers: dict[str, Container] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for container in self.containers.values():
            container.stopped.set()
            with contextlib.suppress(RuntimeError, ProcessLookupError):
                container.signal(signal.SIGKILL)
        for thread in self._threads.values():
            thread.join(PATIENCE)
        self._stack.close()

    def up(self) -> None:
        """Make networks and volumes, and start every service."""
        compose = read(self._path, self._variables)
        hub = self._stack.enter_context(namespace())
        holders = {name: self._stack.enter_context(namespace()) for name in compose["services"]}
        addresses = self._networks(compose, hub, holders)
        for name, service in compose["services"].items():
            hosts = self._folder / f"{name}.hosts"
            hosts.write_text(_hosts(name, addresses), encoding="utf-8")
            mounts = [self._mount(text, compose) for text in service["volumes"]]
            mounts.append(sandbox.Mount(hosts, "/etc/hosts", writable=False))
            log = self._folder / f"{name}.log"
            log.touch()
            made = Container(name, service, holders[name], mounts, log)
            self.containers[name] = made
            self._threads[name] = threading.Thread(target=made.run, name=name)
            self._threads[name].start()

    def exec(self, name: str, argv: list[str]) -> subprocess.CompletedProcess[str]:
        """A second command in a container, on its volumes and network."""
        words = self.containers[name].command(argv)
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def stop(self, name: str) -> int:
        """SIGTERM, and how it ended."""
        container = self.containers[name]
        container.stopped.set()
        with contextlib.suppress(RuntimeError, ProcessLookupError):
            container.signal(signal.SIGTERM)
        self._threads[name].join(PATIENCE)
        if self._threads[name].is_alive():
            raise RuntimeError(f"{name} does not stop: {container.text()[-2000:]}")
        return container.codes[-1]

    def kill(self, name: str) -> None:
        """SIGKILL from within the container, as the kernel does when memory is short."""
        container = self.containers[name]
        ended = len(container.codes)
        container.signal(signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while len(container.codes) == ended and time.monotonic() < until:
            time.sleep(0.05)

    def on_this_machine(self, name: str, path: str) -> Path:
        """Where a file of a container's volumes lies."""
        for mount in self.containers[name].mounts:
            if path.startswith(mount.target + "/"):
                return mount.source / path[len(mount.target) + 1 :]
        raise FileNotFoundError(f"{path} is in no volume of {name}")

    def _networks(
        self, compose: Mapping[str, Any], hub: int, holders: Mapping[str, int]
    ) -> dict[str, dict[str, str]]:
        """Address of every service on each of its networks."""
        addresses: dict[str, dict[str, str]] = {name: {} for name in holders}
        for index, (network, settings) in enumerate(compose["networks"].items()):
            ipam = (settings or {}).get("ipam", {"config": [{"subnet": f"10.89.{index}.0/24"}]})
            subnet = ipaddress.ip_network(ipam["config"][0]["subnet"])
            inside(hub, "ip", "link", "add", f"br{index}", "type", "bridge")
            inside(hub, "ip", "link", "set", f"br{index}", "up")
            members = {
                name: dict.fromkeys(found) if isinstance(found, list) else found
                for name, service in compose["services"].items()
                if network in (found := service["networks"])
            }
            fixed = {name: (m[network] or {}).get("ipv4_address") for name, m in members.items()}
            free = itertools.islice(map(str, subnet.hosts()), 1, None)  # .1 is the bridge's
            left = (address for address in free if address not in fixed.values())
            for number, name in enumerate(members):
                address = fixed[name] or next(left)
                assert ipaddress.ip_address(address) in subnet
                cable = f"n{index}v{number}"
                peer = ("peer", "name", f"eth{index}", "netns", str(holders[name]))
                inside(hub, "ip", "link", "add", cable, "type", "veth", *peer)
                inside(hub, "ip", "link", "set", cable, "master", f"br{index}", "up")
                where = f"{address}/{subnet.prefixlen}"
                inside(holders[name], "ip", "address", "add", where, "dev", f"eth{index}")
                inside(holders[name], "ip", "link", "set", f"eth{index}", "up")
                addresses[name][network] = address
        return addresses

    def _mount(self, text: str, compose: Mapping[str, Any]) -> sandbox.Mount:
        source, target, *mode = text.split(":")
        if source.startswith((".", "/")):
            return sandbox.Mount(self._path.parent / source, target, "ro" not in mode)
        assert source in compose["volumes"]
        volume = self._folder / "volumes" / source
        volume.mkdir(parents=True, exist_ok=True)
        volume.chmod(0o1777)  # as the folder in the image is
        return sandbox.Mount(volume, target)


def _hosts(name: str, addresses: Mapping[str, Mapping[str, str]]) -> str:
    """Names that ``name`` can resolve: of services that share a network with it."""
    lines = ["127.0.0.1 localhost"]
    for other, where in addresses.items():
        shared = next((net for net in addresses[name] if net in where), None)
        if shared is not None:
            lines.append(f"{where[shared]} {other}")
    return "\n".join(lines) + "\n"
