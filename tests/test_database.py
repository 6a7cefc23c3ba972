"""Opening databases, and what both of them do alike."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from anabranch import doctor, migrations
from anabranch.catalog import changes, finding, keys, media, tables, webhooks
from anabranch.database import facts, is_transient, open_database, serialize
from anabranch.errors import SetupError
from anabranch.pages import Page
from anabranch.settings import read_settings
from tests.databases import serving

if TYPE_CHECKING:
    from pathlib import Path

    from anabranch.findings import Finding
    from tests.databases import PostgresServer


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_is_called_by_any_of_its_names(postgres_url: str, scheme: str) -> None:
    opened = open_database(f"{scheme}{postgres_url.removeprefix('postgresql')}")
    with opened.connect() as connection:
        asked = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        assert connection.exec_driver_sql(asked).scalar_one() == "anabranch"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "30s"
    opened.dispose()


def test_what_an_address_says_itself_stands(postgres_url: str) -> None:
    opened = open_database(f"{postgres_url}?application_name=mine&connect_timeout=3")
    with opened.connect() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "mine"
    opened.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:hush@127.0.0.1:1/db",
        "postgresql://somebody@127.0.0.1:1/db?password=hush",
        "mysql://somebody:hush@127.0.0.1/db",
        "sqlite:////no/such/folder/a.db",
        "hush",
    ],
)
def test_a_database_that_cannot_be_opened_says_so_without_its_password(url: str) -> None:
    with pytest.raises(SetupError) as caught:
        open_database(url)
    assert caught.value.code == "database_unavailable"
    assert "hush" not in str(caught.value)


def test_a_database_that_cannot_hold_every_language_is_refused(postgres_server: PostgresServer) -> None:
    postgres_server.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
    )
    with pytest.raises(SetupError, match="LATIN1"):
        open_database(postgres_server.url("latin"))


def test_a_server_that_is_restarted_costs_what_was_going_on_and_nothing_else() -> None:
    with serving() as server:
        opened = open_database(server.create())
        migrations.upgrade(opened)
        media.create(opened, "med_1", "x")
        with pytest.raises(sa.exc.DBAPIError) as lost, opened.begin() as connection:
            connection.execute(tables.media.update().values(title="never"))
            server.restart()
            connection.execute(tables.media.update().values(title="never"))
        assert is_transient(lost.value)
        row = media.get(opened, "med_1")
        assert row is not None
        assert row.title is None
        server.stop()
        with pytest.raises(sa.exc.DBAPIError) as refused:
            media.get(opened, "med_1")
        assert is_transient(refused.value)
        server.start()
        assert media.get(opened, "med_1") is not None
        opened.dispose()


def test_who_ends_a_session_or_wins_a_race_has_the_other_try_again(postgres: sa.Engine) -> None:
    media.create(postgres, "med_1", "x")
    with pytest.raises(sa.exc.DBAPIError) as ended, postgres.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_transient(ended.value)
    first, second = (postgres.connect().execution_options(isolation_level="SERIALIZABLE") for _ in range(2))
    with first, second:
        for connection in (first, second):
            connection.execute(sa.select(tables.media.c.title)).all()
        first.execute(tables.media.update().values(title="first"))
        first.commit()
        with pytest.raises(sa.exc.DBAPIError) as raced:
            second.execute(tables.media.update().values(title="second"))
    assert is_transient(raced.value)


def test_nobody_waits_for_ever_for_a_lock(postgres: sa.Engine) -> None:
    with postgres.begin() as holder, postgres.connect() as waiter:
        serialize(holder, "something")
        waiter.exec_driver_sql("SET lock_timeout = '50ms'")
        with pytest.raises(sa.exc.DBAPIError) as waited:
            serialize(waiter, "something else", "something")
        waiter.rollback()
        waiter.exec_driver_sql("RESET lock_timeout")
    assert is_transient(waited.value)


def test_a_busy_file_may_be_free_later(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with opened.begin() as writer, opened.connect() as waiter:
        serialize(writer, "something")
        waiter.exec_driver_sql("PRAGMA busy_timeout = 0")
        with pytest.raises(sa.exc.OperationalError) as waited:
            serialize(waiter, "something else")
    assert is_transient(waited.value)
    opened.dispose()


def test_what_is_wrong_stays_wrong(database: sa.Engine) -> None:
    with database.connect() as connection, pytest.raises(sa.exc.DBAPIError) as wrong:
        connection.exec_driver_sql("SELECT * FROM nothing")
    assert not is_transient(wrong.value)
    assert not is_transient(ValueError())


def test_who_takes_turns_sees_what_those_before_have_written(database: sa.Engine) -> None:
    def add() -> None:
        with database.begin() as connection:
            serialize(connection, "adding")
            latest = connection.scalar(sa.select(sa.func.max(tables.secrets.c.value)))
            row = {"name": f"n{int(latest or 0) + 1}", "value": f"{int(latest or 0) + 1:03}", "created_at": 1}
            connection.execute(tables.secrets.insert().values(row))

    threads = [threading.Thread(target=add) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.max(tables.secrets.c.value))) == "012"


def test_characters_that_no_text_may_have_are_replaced(database: sa.Engine) -> None:
    media.create(database, "med_1", "x", title="a\0b\ud800c", metadata={"a\0": "b\ud800", "number": math.nan})
    row = media.get(database, "med_1")
    assert row is not None
    assert row.title == "a\ufffdb\ufffdc"
    assert row.metadata == {"a\0": "b\ud800", "number": None}
    assert media.get(database, "med_1\0") is None
    assert webhooks.list_endpoints(database, Page(after="we\0")).rows == []
    assert media.every(database, Page(), about=finding.about(database, "b\ufffd")).rows == ["med_1"]


def test_titles_are_found_in_capitals_or_not(database: sa.Engine) -> None:
    for number, title in enumerate(["Über den Dächern", "50% OFF_now", "ΟΔΟΣ", "ЖИЗНЬ", "a\\b", "o'clock"]):
        media.create(database, f"med_{number}", "x", title=title)

    def found(q: str) -> list[str]:
        return media.every(database, Page(order="asc"), about=finding.about(database, q)).rows

    assert [found(q) for q in ("ÜBER däch", "50%", "off_", "ΟΔΟΣ", "жизнь", "a\\b", "O'C", "ff%n")] == [
        ["med_0"], ["med_1"], ["med_1"], ["med_2"], ["med_3"], ["med_4"], ["med_5"], [],
    ]  # fmt: skip


def test_ids_are_ordered_by_their_bytes(database: sa.Engine) -> None:
    made = ["med_Z", "med_a", "med_0", "med_é", "med_-", "med__", "med_B"]
    for media_id in made:
        media.create(database, media_id, "x")
    ordered = sorted(made, key=str.encode)
    assert media.ids(database) == ordered
    assert media.every(database, Page(after="med_B", order="asc")).rows == ordered[ordered.index("med_B") + 1 :]


def test_numbers_go_on_past_two_thousand_million(postgres: sa.Engine) -> None:
    with postgres.begin() as connection:
        connection.exec_driver_sql("SELECT setval('changes_number_seq', 2147483647)")
    media.create(postgres, "med_1", "x")
    assert changes.latest(postgres) == 2147483648


def test_a_secret_that_many_ask_for_is_made_once(database: sa.Engine) -> None:
    seen: list[str] = []

    def ask(number: int) -> None:
        seen.append(keys.secret(database, "signing_key", lambda: str(number)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_a_database_says_what_it_is(database: sa.Engine) -> None:
    seen: Any = facts(database)
    assert seen.name.startswith("SQLite 3." if database.dialect.name == "sqlite" else "PostgreSQL 18")
    assert seen.can_create
    assert 0 < seen.round_trip_ms < 1000


def test_the_doctor_says_which_database_it_is_and_whether_its_role_may_make_tables(
    postgres_server: PostgresServer, migrated_postgres: str, tmp_path: Path
) -> None:
    def look(url: str) -> Finding:
        found = doctor.examine(read_settings(home=tmp_path, database_url=url))
        return next(one for one in found if one.about == "database")

    seen = look(migrated_postgres)
    assert seen.status == "ok"
    assert "PostgreSQL 18" in seen.said
    assert "UTF8" in seen.said
    postgres_server.execute("CREATE ROLE reader LOGIN PASSWORD 'hush'")
    seen = look(migrated_postgres.replace("postgres@", "reader:hush@"))
    assert seen.status == "problem"
    assert "hush" not in seen.said
    assert "GRANT" in seen.advice
