"""The database: whether it answers, what it is, who may read it, how far it is."""

from __future__ import annotations

import ipaddress
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aga.errors import AgaError, DatabaseUnavailableError, MissingExecutableError
from aga.store.base import Store
from aga.store.connect import ENVIRONMENT, connect
from aga.store.server import find_engine, status
from aga.tasks.doctor.finding import Context, Finding, missing

__all__ = ["clock", "database", "latency", "opened", "users", "writes"]

SLOW = 20.0
"""Milliseconds of a round trip above which a worker spends its time waiting."""

PINGS = 15

SKEW = 2.0
"""Seconds by which clocks may differ without a word."""


@contextmanager
def opened(context: Context) -> Iterator[Store | None]:
    """Connect for one check; None where the database does not answer, which another check tells."""
    try:
        found = Store(connect(context.uri, context.launchpad))
    except AgaError:
        yield None
        return
    try:
        yield found
    finally:
        found.database.client.close()


def database(context: Context) -> list[Finding]:
    """Tell whether it answers, which server it is, and whether it stands alone."""
    try:
        found = connect(context.uri, context.launchpad)
    except DatabaseUnavailableError as error:
        return [_not_there(error)]
    with found.client:
        hello, info = found.client.admin.command("hello"), found.client.server_info()
        own = info.get("secantusVersion")
        kind = f"SecantusDB {own}" if own else f"MongoDB {info['version']}"
        where = ", ".join(f"{host}:{port}" for host, port in sorted(found.client.nodes))
        facts = {"version": info["version"], "embedded": own, "nodes": where, "name": found.name}
        replicas = hello.get("setName")
        facts["replica_set"] = replicas
        told = f"{kind} at {where}, database {found.name}"
        if replicas:
            members = len(hello.get("hosts", []))
            told += f", replica set {replicas} of {members}"
            return [Finding(name="database", state="ok", message=told, facts=facts)]
        return [
            Finding(
                name="database",
                state="ok",
                message=f"{told}, one server alone: its disk holds all there is",
                remedy="`mongodump` makes backups; a replica set of three survives the loss of one",
                facts=facts,
            )
        ]


def _not_there(error: DatabaseUnavailableError) -> Finding:
    if "directory" not in error.facts:  # one is named, and it does not answer
        return missing("database", error, needed=True)
    try:
        engine = find_engine(status().directory)
    except MissingExecutableError as absent:
        return missing("database", absent, needed=True)
    return Finding(
        name="database",
        state="absent",
        message=f"{error.message}; {engine.name} is installed",
        remedy=f"`aga run` starts it, or `aga db start`; {ENVIRONMENT} names another",
        facts={"engine": engine.name, **error.facts},
    )


def users(context: Context) -> list[Finding]:
    """Tell whether a server that others can reach is guarded by users."""
    with opened(context) as found:
        if found is None:
            return []
        said = found.database.client.admin.command("connectionStatus")["authInfo"]
        names = [f"{one['user']}@{one['db']}" for one in said["authenticatedUsers"]]
        hosts = sorted({host for host, _ in found.database.client.nodes})
        bound = _bound(found)
    facts: dict[str, Any] = {"users": names, "hosts": hosts, "bound": bound}
    if names:
        told = f"logged in as {', '.join(names)}"
        return [Finding(name="users", state="ok", message=told, facts=facts)]
    if all(is_loopback(host) for host in [*hosts, *bound]):
        told = "no users, but only this machine reaches it: whoever logs in here can read all"
        return [Finding(name="users", state="ok", message=told, facts=facts)]
    return [
        Finding(
            name="users",
            state="warn",
            message="the server listens beyond this machine and asks nobody for a password",
            remedy="set security.authorization in mongod.conf and create a user (db.createUser), "
            "or bind it to 127.0.0.1",
            facts=facts,
        )
    ]


def _bound(found: Store) -> list[str]:
    """Give the addresses a server listens on, where it tells."""
    try:
        parsed = found.database.client.admin.command("getCmdLineOpts")["parsed"]
    except Exception:  # noqa: BLE001 - a server may not know the command, or not tell everybody
        return []
    net = parsed.get("net", {})
    if net.get("bindIpAll"):
        return ["0.0.0.0"]  # noqa: S104 - what it says, nothing is bound here
    return [part.strip() for part in str(net.get("bindIp", "")).split(",") if part.strip()]


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if host.startswith("/") or host == "localhost":  # a socket file
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def latency(context: Context) -> list[Finding]:
    """Measure how long a question takes there and back."""
    with opened(context) as found:
        if found is None:
            return []
        taken = []
        for _ in range(PINGS):
            began = time.perf_counter()
            found.database.client.admin.command("ping")
            taken.append(1000 * (time.perf_counter() - began))
    median = statistics.median(taken)
    slow = median > SLOW
    return [
        Finding(
            name="latency",
            state="warn" if slow else "ok",
            message=f"{median:.1f} ms there and back (median of {PINGS})",
            remedy="let workers run nearer to the database, or give each longer steps"
            if slow
            else None,
            facts={"median_ms": median, "largest_ms": max(taken)},
        )
    ]


def writes(context: Context) -> list[Finding]:
    """Write a document that a majority has to have in its journal, and read it back."""
    with opened(context) as found:
        if found is None:
            return []
        target, mark = found.collection("doctor"), uuid.uuid4().hex
        began = time.perf_counter()
        target.insert_one({"_id": mark})
        seconds = time.perf_counter() - began
        kept = target.find_one({"_id": mark})
        target.delete_one({"_id": mark})
    if kept is None:
        raise DatabaseUnavailableError("an acknowledged write was not there to be read")
    return [
        Finding(
            name="writes",
            state="ok",
            message=f"a write is safe in the journal after {1000 * seconds:.0f} ms",
            facts={"seconds": seconds},
        )
    ]


def clock(context: Context) -> list[Finding]:
    """Compare the clocks of server and client: leases are judged by them."""
    with opened(context) as found:
        if found is None:
            return []
        before = datetime.now(UTC)
        theirs = found.database.client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
        after = datetime.now(UTC)
    skew = (theirs - before - (after - before) / 2).total_seconds()
    return [judge_clock(skew, context.machine.lease)]


def judge_clock(skew: float, lease: float) -> Finding:
    """Say what a difference of clocks in s means for leases of so many seconds."""
    state = "fail" if abs(skew) > lease / 4 else "warn" if abs(skew) > SKEW else "ok"
    return Finding(
        name="clock",
        state=state,  # type: ignore[arg-type] # one of three words
        message=f"the server's clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
        if abs(skew) >= 0.1
        else "the clocks of server and client agree",
        remedy=None
        if state == "ok"
        else "synchronise both clocks (`timedatectl set-ntp true`): a lease counts seconds, and a "
        "step whose lease seems over is given to another worker",
        facts={"seconds": skew, "lease": lease},
    )
