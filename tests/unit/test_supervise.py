"""The supervisor over children of the test's own: what it starts, restarts, refuses, and in which order it ends things."""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from spangate.config import Settings
from spangate.exchange import Snapshot
from spangate.observe.metrics import METRICS
from spangate.observe.series import gather
from spangate.supervise import SAME_WISH, StartError, claim, pause, warn_of_few_files, with_keys

from .supervised import CONTROL, WORKER, answer, house, until


def test_it_serves_and_ends_workers_before_control(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start(workers=2)
        url = there.wait_ready()
        assert len(answer(url)) == 3
        assert (tmp_path / "serve.url").read_text() == url + "\n"
        until(lambda: len(there.pids("worker")) == 2)
        assert there.stop() == (0, "")
        assert there.events()[-3:] == ["worker ends", "worker ends", "control ends"]
        assert not (tmp_path / "serve.url").exists()
        assert (tmp_path / "serve.pid").read_text() == ""


def test_ctrl_c_and_without_settings_to_read_again_sighup_end_it_in_the_same_order(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        for left in ("ready", "events", "snapshot.msgpack"):  # with a snapshot, it is ready before control has begun
            (tmp_path / left).unlink(missing_ok=True)
        with house(tmp_path) as there:
            there.start()
            there.wait_ready()
            until(lambda house=there: house.pids("worker"))
            assert there.stop(number)[0] == 0
            assert there.events()[-2:] == ["worker ends", "control ends"]


@pytest.mark.parametrize("kind", ["worker", "control"])
def test_what_dies_is_started_again_and_the_port_stays_open(tmp_path: Path, kind: str) -> None:
    with house(tmp_path) as there:
        there.start()
        url = there.wait_ready()
        (first,) = there.pids(kind)
        os.kill(first, signal.SIGKILL)
        # Gone for the supervisor too: a process whose first thread is a zombie may yet accept with another one.
        until(lambda: not psutil.pid_exists(first))
        assert len(answer(url)) == 3  # waits in the backlog if it must, and is not refused
        until(lambda: len(there.pids(kind)) == 2)
        code, said = there.stop()
        assert code == 0
        assert "was killed by SIGKILL" in said


def test_workers_wait_for_the_first_snapshot_only(tmp_path: Path) -> None:
    control = CONTROL.replace('(folder / "snapshot.msgpack").touch()', "")
    with house(tmp_path, control=control) as there:
        there.start()
        until(lambda: there.pids("control"))
        assert not there.pids("worker")
        assert there.stop()[0] == 0
        (tmp_path / "snapshot.msgpack").touch()  # and with one, no control is needed
        (tmp_path / "control.py").write_text("raise SystemExit(3)")
        there.start()
        assert len(answer(there.wait_ready())) == 3
        assert there.stop()[0] == 0


def test_without_a_snapshot_for_long_callers_get_an_answer_and_do_not_hang(tmp_path: Path) -> None:
    control = CONTROL.replace('(folder / "snapshot.msgpack").touch()', "")
    with house(tmp_path, control=control, patience=0.5) as there:
        there.start()
        until(lambda: there.pids("worker"))
        assert len(answer((tmp_path / "serve.url").read_text().strip())) == 3
        time.sleep(0.2)
        assert not (tmp_path / "ready").exists()
        (tmp_path / "snapshot.msgpack").touch()
        there.wait_ready()
        assert len(there.pids("worker")) == 1
        assert there.stop()[0] == 0


def test_a_control_that_cannot_start_ends_the_first_start(tmp_path: Path) -> None:
    with house(tmp_path, control="sys.exit(3)") as there:
        there.start()
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert there.process.returncode == 1
        assert "control died 5 times before it was ready" in said


def test_a_control_that_only_a_person_can_help_is_not_started_again(tmp_path: Path) -> None:
    with house(tmp_path, control="sys.exit(os.EX_CONFIG)") as there:
        there.start()
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert there.process.returncode == 1
        assert "control cannot work with these settings" in said
        assert "starting it again" not in said


def test_children_learn_of_its_death(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        assert there.process is not None
        there.process.kill()
        until(lambda: "orphaned" in there.events())


def test_after_a_crash_it_takes_the_port_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with house(tmp_path) as there:
        there.start(port=port)
        there.wait_ready()
        assert there.process is not None
        there.process.kill()
        there.process.communicate(timeout=60)
        (tmp_path / "ready").unlink()
        there.start(port=port)
        there.wait_ready()
        assert there.stop()[0] == 0


def test_a_worker_that_hangs_is_killed_after_grace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = WORKER.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, worker=hanging) as there:
        there.start(grace=0)
        there.wait_ready()
        code, said = there.stop()
        assert (code, there.events()[-2:]) == (0, ["worker hangs", "control ends"])
        assert "did not finish in time and is killed" in said


def test_a_signal_that_comes_twice_at_once_still_drains(tmp_path: Path) -> None:
    slow = WORKER.replace('(note("worker ends"), os._exit(0))', '(__import__("time").sleep(0.5), note("worker ends"), os._exit(0))')
    with house(tmp_path, worker=slow) as there:
        there.start(grace=30)
        there.wait_ready()
        assert there.process is not None
        there.process.send_signal(signal.SIGINT)
        assert there.stop(signal.SIGINT)[0] == 0
        assert there.events()[-2:] == ["worker ends", "control ends"]


def test_a_signal_later_means_at_once(tmp_path: Path) -> None:
    hanging = WORKER.replace('(note("worker ends"), os._exit(0))', 'note("worker hangs")')
    with house(tmp_path, worker=hanging) as there:
        there.start(grace=1000)
        there.wait_ready()
        assert there.process is not None
        there.process.send_signal(signal.SIGTERM)
        until(lambda: "worker hangs" in there.events())
        time.sleep(SAME_WISH)
        assert there.stop()[0] == 0


def test_a_second_gateway_on_the_folder_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with claim(settings) as crashed:
        assert crashed is False
        with pytest.raises(StartError, match=f"another gateway \\(pid {os.getpid()}\\)"), claim(settings):
            pass
    (tmp_path / "serve.pid").write_text("1\n")
    with claim(settings) as crashed:
        assert crashed is True


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, house(tmp_path) as there:
        there.start(port=taken.getsockname()[1])
        assert there.process is not None
        _, said = there.process.communicate(timeout=60)
        assert "is taken; choose another with --port" in said


def test_keys_are_made_once_and_readable_by_the_owner_alone(tmp_path: Path) -> None:
    settings, made = with_keys(Settings(data_dir=tmp_path))
    assert made is True
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("admin.key", "kek.key", "pepper.key")] == [0o600] * 3
    assert settings.admin_key == (tmp_path / "admin.key").read_text().strip()
    assert with_keys(Settings(data_dir=tmp_path)) == (settings, False)


@pytest.mark.parametrize("sealed", ["spangate.db", "snapshot.msgpack"])
def test_a_lost_key_encryption_key_is_not_made_anew(tmp_path: Path, sealed: str) -> None:
    (tmp_path / sealed).touch()
    with pytest.raises(StartError, match=r"kek\.key is missing, and the secrets of .* are sealed with it"):
        with_keys(Settings(data_dir=tmp_path))
    assert not (tmp_path / "kek.key").exists()


@pytest.mark.parametrize("left", ["spangate.db", "snapshot.msgpack"])
def test_a_lost_pepper_is_not_made_anew(tmp_path: Path, left: str) -> None:
    with_keys(Settings(data_dir=tmp_path))
    database(tmp_path, "INSERT INTO server_state VALUES ('pepper')")
    snapshot(tmp_path, pepper="f")
    (tmp_path / ({"spangate.db", "snapshot.msgpack"} - {left}).pop()).unlink()
    (tmp_path / "pepper.key").unlink()
    with pytest.raises(StartError, match=rf"pepper\.key is missing, and the keys of .*{left} are digested with it"):
        with_keys(Settings(data_dir=tmp_path))
    assert not (tmp_path / "pepper.key").exists()


def test_what_a_version_without_a_pepper_left_behind_gets_one(tmp_path: Path) -> None:
    with_keys(Settings(data_dir=tmp_path))
    (tmp_path / "pepper.key").unlink()
    database(tmp_path)
    snapshot(tmp_path)
    settings, _ = with_keys(Settings(data_dir=tmp_path))
    assert settings.pepper == (tmp_path / "pepper.key").read_text().strip()


def database(folder: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "spangate.db")) as connection, connection:
        for statement in ("CREATE TABLE server_state (name TEXT)", *statements):
            connection.execute(statement)


def snapshot(folder: Path, **has: Any) -> None:
    (folder / "snapshot.msgpack").write_bytes(msgspec.msgpack.encode(Snapshot(version=1, published_at=0, **has)))


@pytest.mark.parametrize("name", ["kek.key", "pepper.key"])
def test_a_key_file_that_is_no_key_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("junk")
    (tmp_path / name).chmod(0o600)
    with pytest.raises(StartError, match=re.escape(name)):
        with_keys(Settings(data_dir=tmp_path))


def test_given_keys_are_not_written(tmp_path: Path) -> None:
    zeros = base64.b64encode(bytes(32)).decode()
    given = Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef", kek=zeros, pepper=zeros)
    assert with_keys(given) == (given, False)
    assert list(tmp_path.iterdir()) == []


def test_keys_do_not_reach_a_command_line(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        key = (tmp_path / "admin.key").read_text().strip()
        (worker,) = there.pids("worker")
        assert key not in subprocess.run(["ps", "-o", "args=", "-p", str(worker)], capture_output=True, text=True, check=True).stdout
        assert there.stop()[0] == 0


def test_pauses_grow_and_end_growing() -> None:
    assert [pause(failures) for failures in (0, 1, 2, 3, 4, 7, 8, 60)] == [0, 0, 0.1, 0.2, 0.4, 3.2, 5, 5]


def test_settings_reach_the_children_whole(tmp_path: Path) -> None:
    control = CONTROL + ""
    with house(tmp_path, control='(folder / "given").write_text(json.dumps(settings))\n' + control) as there:
        there.start(first_byte_timeout=7, strict=True)
        url = there.wait_ready()
        given = Settings.from_json((tmp_path / "given").read_text())
        assert (given.first_byte_timeout, given.strict, given.port) == (7, True, int(url.rpartition(":")[2]))
        assert given.kek == (tmp_path / "kek.key").read_text().strip()
        assert json.loads((tmp_path / "given").read_text())["admin_key"] == given.admin_key
        assert there.stop()[0] == 0


def test_too_few_files_are_told_once_and_not_by_each_worker(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("spangate.descriptors.connections", lambda wanted: min(wanted, 480))
    warn_of_few_files(Settings(max_connections=480))
    assert caplog.messages == []
    warn_of_few_files(Settings(max_connections=10_000, workers=4))
    assert caplog.messages == ["too few files may be open here (see ulimit -n): each worker serves 480 connections at once and not 10000"]


def test_deaths_are_counted(tmp_path: Path) -> None:
    with house(tmp_path) as there:
        there.start()
        there.wait_ready()
        (first,) = there.pids("worker")
        os.kill(first, signal.SIGKILL)
        until(lambda: len(there.pids("worker")) == 2)
        sums, living = gather(tmp_path / "metrics", METRICS)
        assert [process.who for process in living] == ["supervisor"]
        assert sums == {
            ("spangate_process_restarts_total", ("worker",)): [1.0],
            ("spangate_process_restarts_total", ("control",)): [0.0],
            ("spangate_rolling_restarts_total", ("done",)): [0.0],
            ("spangate_rolling_restarts_total", ("given_up",)): [0.0],
        }
        assert there.stop()[0] == 0
