"""The database is found where it was named, and its absence is said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteError,
)

from aga.errors import DatabaseUnavailableError, DiskFullError, InputError
from aga.store import connect as module
from aga.store.connect import connect, database_name, find_uri, read_launchpad
from aga.store.retry import call, is_transient, redact


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AGA_DATABASE", raising=False)
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "no-database"))
    monkeypatch.setattr(module, "_SELECTION_TIMEOUT", 200)


def test_no_database_names_the_remedy() -> None:
    with pytest.raises(DatabaseUnavailableError, match="no database is named") as caught:
        connect()
    assert "aga db start" in str(caught.value.remedy)
    assert caught.value.exit_code == 4


def test_absent_server_names_the_address_without_the_password() -> None:
    with pytest.raises(
        DatabaseUnavailableError, match=r"mongodb://\*\*\*@127\.0\.0\.1:9/x"
    ) as caught:
        connect("mongodb://anna:geheim@127.0.0.1:9/x?authSource=admin")
    assert "geheim" not in str(caught.value.to_dict())
    assert "aga db start" in str(caught.value.remedy)


def test_order_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGA_DATABASE", "mongodb://from-environment/x")
    assert find_uri() == "mongodb://from-environment/x"
    assert find_uri("mongodb://explicit/x") == "mongodb://explicit/x"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("mongodb://h", "aga"),
        ("mongodb://h/", "aga"),
        ("mongodb://h:1/si?replicaSet=r", "si"),
        ("mongodb://u:p%40@h1,h2/si", "si"),
    ],
)
def test_database_name(uri: str, name: str) -> None:
    assert database_name(uri) == name


@pytest.mark.parametrize(
    "uri", ["postgres://h/x", "h:27017", "mongodb://", "mongodb://h:port/x", "mongodb://a:b:c@h/x"]
)
def test_wrong_addresses(uri: str) -> None:
    with pytest.raises(InputError, match="address") as caught:
        connect(uri)
    assert "b:c" not in str(caught.value.to_dict())


def test_wrong_option(tmp_path: Path) -> None:
    file = launchpad(tmp_path, "host: h\nmongoclient_kwargs: {timeoutt: 3}\n")
    with pytest.raises(InputError, match="timeoutt"):
        connect(launchpad=file)


def launchpad(path: Path, text: str) -> Path:
    file = path / "my_launchpad.yaml"
    file.write_text(text)
    return file


def test_launchpad_with_host_and_user(tmp_path: Path) -> None:
    file = launchpad(
        tmp_path,
        "host: db.example\nport: 27018\nname: fw\nusername: anna\npassword: geheim\n"
        "authsource: admin\nlogdir: null\nmongoclient_kwargs: {tls: true}\n",
    )
    uri, name, options = read_launchpad(file)
    assert (uri, name) == ("mongodb://db.example:27018/", "fw")
    assert options == {
        "tls": True,
        "username": "anna",
        "password": "geheim",
        "authSource": "admin",
    }


def test_launchpad_with_address(tmp_path: Path) -> None:
    file = launchpad(
        tmp_path, "host: mongodb+srv://u:p@db.example/x?w=1\nuri_mode: true\nname: fw\n"
    )
    assert read_launchpad(file) == ("mongodb+srv://u:p@db.example/x?w=1", "fw", {})
    assert read_launchpad(launchpad(tmp_path, "host: localhost\n"))[1] == "fireworks"


def test_launchpad_of_an_absent_server(tmp_path: Path) -> None:
    file = launchpad(
        tmp_path, "host: 127.0.0.1\nport: 9\nname: fw\nusername: anna\npassword: geheim\n"
    )
    with pytest.raises(DatabaseUnavailableError) as caught:
        connect(launchpad=file)
    assert "geheim" not in str(caught.value.to_dict())


@pytest.mark.parametrize("text", ["- a\n- b\n", "host: [", "!!python/object:os.system {}\n", ""])
def test_wrong_launchpads(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"my_launchpad\.yaml"):
        read_launchpad(launchpad(tmp_path, text))


def test_missing_launchpad(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        connect(launchpad=tmp_path / "nowhere.yaml")


def test_redaction() -> None:
    assert redact("at mongodb://u:p@h/x and mongodb+srv://a:b@c") == (
        "at mongodb://***@h/x and mongodb+srv://***@c"
    )
    assert redact("mongodb://h/x") == "mongodb://h/x"


# repeating


def test_short_failures_are_ridden_out() -> None:
    answers = [AutoReconnect("gone"), ServerSelectionTimeoutError("none"), 42]

    def operation() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    assert call(operation, patience=20) == 42


def raiser(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AutoReconnect("gone"), DatabaseUnavailableError),
        (OperationFailure("Unable to write", code=14031), DiskFullError),
        (WriteError("fsync: No space left on device"), DiskFullError),
        (OperationFailure("auth failed", code=18), InputError),
        (ConfigurationError("what?"), InputError),
        (DuplicateKeyError("twice"), DuplicateKeyError),
    ],
)
def test_long_failures_say_what_to_do(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(lambda: raiser(error), patience=0.0)


def test_only_harmless_bulk_errors_are_repeated() -> None:
    def bulk(*codes: int) -> BulkWriteError:
        return BulkWriteError({"writeErrors": [{"code": code} for code in codes]})

    assert is_transient(bulk(11000, 11000))
    assert not is_transient(bulk(11000, 121))
    assert not is_transient(bulk())
    assert is_transient(OperationFailure("conflict", code=112))
    assert not is_transient(ValueError())
