"""A database that is away, was made anew, or is of another form: whoever needs it waits, or hears what to do."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from chaos_endpoint import endpoint
from loops import at_leisure
from postgres import Postgres
from serving import served
from stretto.cluster import Cluster
from stretto.cluster.queue import queue
from stretto.errors import StoreError, StoreLocked
from stretto.store.connecting import connect
from stretto.store.locations import Server
from stretto.store.postgres.presence import forget
from stretto.store.postgres.tables import unprepared
from stretto.store.sqlite import Store
from workers import asking, quick


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server(postgres.database())


@at_leisure
async def test_whoever_waits_for_a_run_waits_while_the_database_is_away_and_a_server_says_so(
    postgres: Postgres, server: Server
) -> None:
    with endpoint(quick()) as provider:
        workflow = asking(server, provider)
        async with served(workflow, store=server) as client, Cluster(server) as cluster:
            run = await cluster.submit(workflow.stream("Compare tea and coffee"))
            waiting = asyncio.create_task(cluster.finished(run))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(postgres.stop, "immediate")
            try:
                status, told = await client.get("runs")
                assert (status, told["code"]) == (503, "store_away")
            finally:
                await asyncio.to_thread(postgres.start)
            await asyncio.sleep(1)
            assert not waiting.done()
            assert (await client.get("runs"))[0] == 200
            assert (await cluster.cancel(run)).status == "interrupted"
            assert (await asyncio.wait_for(waiting, 30)).status == "interrupted"


def test_tables_that_were_dropped_are_told_once_and_made_anew(server: Server) -> None:
    with closing(connect(server)) as db:
        db.execute("DROP SCHEMA stretto CASCADE")
    with pytest.raises(StoreError, match="its tables were dropped, or the database made anew"):
        Store(server).recent()
    with closing(connect(server)):
        assert Store(server).recent() == []


def test_a_store_of_an_earlier_form_is_not_written_as_if_it_were_ours(server: Server) -> None:
    with closing(connect(server)) as db:
        db.execute("UPDATE form SET version = 2")
    unprepared(server)
    with pytest.raises(StoreError, match=r"by an earlier Stretto \(format 2, .* import them into another"):
        connect(server)


def test_what_the_dead_have_left_is_kept_for_days_and_no_longer(server: Server) -> None:
    with closing(connect(server)) as db, Store(server).carrying("01K0001"):
        db.execute("INSERT INTO presences VALUES ('dead', 'there 1', clock_timestamp() - interval '8 days')")
        db.execute("INSERT INTO presences VALUES ('late', 'there 2', clock_timestamp() - interval '6 days')")
        db.execute("INSERT INTO carriers VALUES ('01K0002', 'dead/1'), ('01K0003', 'late/1'), ('01K0004', 'gone/1')")
        forget(db)
        assert [run for (run,) in db.execute("SELECT run FROM carriers ORDER BY run")] == ["01K0001", "01K0003"]
        assert db.execute("SELECT count(*) FROM presences").fetchone() == (2,)


def test_an_option_that_cannot_be_read_is_told_in_words(server: Server) -> None:
    with pytest.raises(StoreError, match=r"options.*name another with --store"):
        connect(Server(f"{server.url}?options=-cfoo=1"))


def test_a_server_without_a_connection_left_is_told_apart_from_one_that_is_not_there(server: Server) -> None:
    with closing(connect(server)) as db:
        db.execute("DROP ROLE IF EXISTS few")
        db.execute("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    with pytest.raises(StoreLocked, match=r"no connection left .* raise its max_connections"):
        connect(Server(server.url.replace("stretto@", "few@")))


def test_whoever_comes_first_makes_the_tables_of_the_queue_and_others_wait_for_that(server: Server) -> None:
    def looked(_: int) -> bool:
        with queue(server) as waiting:
            return waiting.has("01K0001")

    with ThreadPoolExecutor(6) as several:
        assert list(several.map(looked, range(6))) == [False] * 6
