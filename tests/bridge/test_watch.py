"""Watching: a session changed between decisions, what is shown of it, the page and its server."""

import http.client
import io
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fuzz
import numpy as np
import pytest
import scripts
from brian2.units import volt
from browser import BROWSER, DRIVER, Browser

from mstpn.bridge.agents import BrianAgent
from mstpn.bridge.checkpoints import SHIPPED
from mstpn.bridge.play import Frame, Game
from mstpn.bridge.pong import Pong
from mstpn.bridge.watch.live import Live, PageView
from mstpn.bridge.watch.moment import energy_bytes, moment, signed_bytes, synapse
from mstpn.bridge.watch.server import Server
from mstpn.bridge.watch.session import FIELDS, Session
from mstpn.bridge.watch.settings import Choices, Settings, parse_change
from mstpn.bridge.watch.terminal import Terminal, half_blocks
from mstpn.bridge.watch.view import View
from mstpn.commands.watch import gpu_energies
from mstpn.network.frames import STEP_DURATION
from mstpn.network.twin.checkpoint import load_checkpoint
from mstpn.synapses.memristor import Memristor
from mstpn.synapses.st_hebb import apply_bias


@pytest.fixture(scope="module")
def choices(device: Memristor) -> Choices:
    checkpoints = {name: load_checkpoint(path) for name, path in SHIPPED.items()}
    other = Memristor.from_file(scripts.FOLDER / "devices/bias_from_200_mV.toml")
    return Choices(checkpoints, {"srtio3": device, "from 200 mV": other})


@pytest.fixture(scope="module")
def shared(choices: Choices, target: str) -> Iterator[Session]:
    session = Session(choices, Settings("pong", "srtio3"), target="numpy")
    yield session
    session.close()


@pytest.fixture
def session(shared: Session) -> Session:
    """At the start of a game, ideal and untouched."""
    start = Settings("pong", "srtio3")
    shared.change(**start.to_json())
    shared.log.clear()
    return shared


# ---- the session -------------------------------------------------------------------------------


def test_changes_equal_the_same_calls_of_a_script(session: Session, device: Memristor) -> None:
    agent = BrianAgent(session.choices.checkpoints["pong"], device, STEP_DURATION)
    network = agent.network
    network.prepare()
    own = network.of_synapses("V_bias").ravel() * volt
    gamma = network.of_synapses("Gamma")
    script: dict[int, Callable[[], None]] = {
        5: lambda: network.hold(0.45 * volt),
        10: lambda: apply_bias(network.synapses, device, gamma=0.0),
        15: lambda: apply_bias(network.synapses, device, gamma=gamma),
        20: lambda: network.hold(own),
    }
    hand: dict[int, dict[str, Any]] = {
        5: {"hold": 0.45},
        10: {"plastic": False},
        15: {"plastic": True},
        20: {"hold": None},
    }
    game = Game(Pong(), agent, 1000)
    for k, expected in zip(range(30), game.frames(), strict=False):
        if k in hand:
            session.change(**hand[k])
        found = session.step()
        if k + 1 in script:
            expected_energy = network.energy()
            assert session.energy() == {name: float(e) for name, e in expected_energy.items()}
            script[k + 1]()
        same(found, expected)
        assert np.array_equal(session.field("F").ravel(), network.short_term)
    assert session.energy() == {name: float(e) for name, e in network.energy().items()}
    assert [(c.decision, c.changes) for c in session.log] == list(hand.items())


def same(found: Frame, expected: Frame) -> None:
    assert found.action == expected.action
    for name in ("observation", "z", "h"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


@pytest.mark.parametrize(
    "changes",
    [{"sticky": 0.6}, {"flicker": 0.5}, {"seed": 7}, {"checkpoint": "pong_memory"}],
    ids=str,
)
def test_what_begins_another_game_is_that_game(
    session: Session, device: Memristor, changes: dict[str, Any]
) -> None:
    session.step()
    session.change(hold=0.3)
    session.change(**changes)
    checkpoint = session.choices.checkpoints[changes.get("checkpoint", "pong")]
    agent = BrianAgent(checkpoint, device, STEP_DURATION)
    chances = {k: v for k, v in changes.items() if k in ("sticky", "flicker")}
    game = Game(Pong(**chances), agent, changes.get("seed", 1000))
    agent.network.hold(0.3 * volt)
    for _, expected in zip(range(12), game.frames(), strict=False):
        same(session.step(), expected)
    assert session.energy() == {name: float(e) for name, e in agent.network.energy().items()}


def test_devices_that_are_not_ideal(session: Session) -> None:
    for _ in range(5):
        session.step()
    ideal = session.updates
    assert np.count_nonzero(ideal) > 1000
    session.change(corrupt_devices_prob=1.0)
    for _ in range(5):
        session.step()
        assert not session.updates.any()
    session.change(corrupt_devices_prob=0.0, delta_f_std=0.5, device="from 200 mV")
    for _ in range(3):
        session.step()
    moved = session.updates[session.updates != 0]
    assert len(np.unique(np.abs(moved))) > 0.5 * len(moved)  # each pulse has a size of its own
    assert session.agent.network.of_synapses("V_bias").min() >= 0.2 - 1e-12


def test_pulses_and_decay_are_what_moves_f(session: Session, device: Memristor) -> None:
    decay = device.decay(session.agent.network.of_synapses("V_bias") * volt, STEP_DURATION)
    before = session.field("F")
    for k in range(12):
        if k == 6:
            session.change(hold=0.2)
            decay = device.decay(0.2 * volt, STEP_DURATION)
        session.step()
        now = session.field("F")
        # the pulse comes at the end of a step's decay: two roundings of numbers below 10
        np.testing.assert_allclose(now, decay * (before + session.updates), rtol=0, atol=1e-13)
        before = now
    assert session.updates.any()


def test_without_plasticity_a_step_has_reads_only(session: Session, device: Memristor) -> None:
    for _ in range(3):
        session.step()
    assert session.write_share > 0.01
    session.change(plastic=False)
    frame = session.step()
    read = np.abs(frame.z).max() * float(device.read_duration)
    assert session.write_share == pytest.approx(read / float(STEP_DURATION), rel=1e-12)
    session.step()
    assert not session.updates.any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hold": 0.7}, "bias_voltage must lie in"),
        ({"hold": "0.1"}, "hold must be a number in [0, 100], got '0.1'"),
        ({"hold": float("nan")}, "hold must be a number in [0, 100], got nan"),
        ({"hold": True}, "hold must be a number in [0, 100], got True"),
        ({"hold": 0.1, "device": "from 200 mV"}, "bias_voltage must lie in"),
        ({"plastic": 1}, "plastic must be true or false, got 1"),
        ({"sticky": 1.5}, "sticky must be a number in [0, 1], got 1.5"),
        ({"seed": -1}, "seed must be an integer in [0, 2147483647], got -1"),
        ({"seed": 1.0}, "seed must be an integer in [0, 2147483647], got 1.0"),
        ({"checkpoint": "/etc/passwd"}, "checkpoint must be one of pong, pong_memory, got"),
        ({"device": []}, "device must be one of srtio3, from 200 mV, got []"),
        ({"volts": 1}, "setting must be one of checkpoint, device, seed"),
        ({"self": 1}, "setting must be one of checkpoint, device, seed"),
    ],
    ids=str,
)
def test_what_is_refused_changes_nothing(
    session: Session, changes: dict[str, Any], said: str
) -> None:
    session.step()
    before, settings = session.agent.network.state(), session.settings
    with pytest.raises(ValueError, match=re.escape(said)):
        Live(session).order(changes)
    if "self" not in changes:
        assert said in session.try_change(changes).error
        assert session.log[-1].error
    assert session.settings == settings
    for name, value in session.agent.network.state().items():
        assert np.array_equal(value, before[name])


def test_changes_as_text() -> None:
    assert parse_change("150:hold=0.1") == (150, {"hold": 0.1})
    assert parse_change("0:checkpoint=pong_memory") == (0, {"checkpoint": "pong_memory"})
    assert parse_change("3:hold=null") == (3, {"hold": None})
    for text in ("hold=1", "x:hold=1", "5:hold", "5", ""):
        with pytest.raises(ValueError, match="change must be DECISION:NAME=VALUE, got"):
            parse_change(text)


# ---- what is shown -----------------------------------------------------------------------------


def test_bytes_say_the_values_to_half_a_level() -> None:
    rng = np.random.default_rng(0)
    values, levels = rng.normal(size=10_000), 15
    scale = float(np.abs(values).max())
    coded = signed_bytes(values, scale, levels).astype(float) - 128
    shown = np.sign(coded) * (coded / levels) ** 2 * scale
    root = np.sqrt(np.abs(values) / scale)
    assert np.all(np.abs(np.sqrt(np.abs(shown) / scale) - root) <= 0.5 / levels + 1e-12)
    assert not np.any(shown * values < 0)
    spent = 10 ** rng.uniform(-14, -8, 10_000)
    coded = energy_bytes(spent, spent.max(), 10).astype(float)
    decades = (coded - 255) / 10
    assert np.all(np.abs(decades - np.log10(spent / spent.max())) <= 0.05 + 1e-9)
    assert energy_bytes(np.zeros(3), 0.0).tolist() == [0, 0, 0]
    assert signed_bytes(np.zeros(3), 0.0).tolist() == [128] * 3


def test_numbers_on_the_way_to_the_page_keep_every_bit(session: Session) -> None:
    for _ in range(7):
        session.step()
    found = json.loads(json.dumps(moment(session)))
    spent = session.agent.network.energy()
    assert found["energy"] == {term: float(value) for term, value in spent.items()}
    assert np.array_equal(found["h"], session.agent.h)
    one = json.loads(json.dumps(synapse(session, 64 * 100 + 3)))
    assert (one["i"], one["j"]) == (100, 3)
    network = session.agent.network
    assert one["W"] == network.of_synapses("W")[100, 3]
    assert one["F"] == network.short_term.reshape(-1, 64)[100, 3]
    assert one["volt"] == network.of_synapses("V_bias")[100, 3]
    learning = np.abs(network.of_synapses("Gamma"))
    assert learning.ravel()[synapse(session)["number"]] == learning.max()
    total = session.field("energy").sum()
    assert total == pytest.approx(sum(session.energy().values()), rel=1e-12)  # another order


def test_half_blocks_show_the_picture() -> None:
    screen = np.zeros((210, 160, 3), np.uint8)
    screen[:105] = 255
    lines = half_blocks(screen, 80, 53)
    assert len(lines) == 52
    assert {line.count("▀") for line in lines} == {80}
    assert lines[0].startswith("\033[38;2;255;255;255;48;2;255;255;255m")
    assert lines[-1].startswith("\033[38;2;0;0;0;48;2;0;0;0m")
    assert half_blocks(screen, 1, 0) == []


def test_a_live_session_paced_planned_and_terminal(session: Session) -> None:
    live = Live(session, gpu={"gpu": 1e-9}, planned={3: {"hold": 0.25}})
    text = io.StringIO()
    live.add(Terminal(text))
    live.order({"speed": 64})
    live.run(31)
    assert session.game.decisions == 31
    assert [(c.decision, c.changes) for c in session.log] == [(3, {"hold": 0.25})]
    lines = text.getvalue().splitlines()
    assert [re.findall(r"decision (\d+)", line) for line in lines] == [["15"], ["30"]]
    assert "bias 0.25 V" in lines[0]
    session.game.done = True  # as after a last point: the next game begins
    live.run(1)
    assert (session.settings.seed, session.game.decisions) == (1001, 1)
    assert (session.log[-1].seed, session.log[-1].changes) == (1000, {"seed": 1001})
    assert (session.agent.network.of_synapses("V_bias") == 0.25).all()  # the hand stays


# ---- the server --------------------------------------------------------------------------------


@pytest.fixture
def server(session: Session) -> Iterator[Server]:
    server = Server(Live(session))
    server.start()
    yield server
    server.stop()


def asked(server: Server, method: str, path: str, body: Any = None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, kind | named)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_only_this_machine_is_answered(server: Server) -> None:
    here = f"http://127.0.0.1:{server.server_port}"
    assert server.socket.getsockname()[0] == "127.0.0.1"
    order = json.dumps({"paused": True})
    assert asked(server, "GET", "/") == 200
    assert asked(server, "GET", "/", Host=f"localhost:{server.server_port}") == 200
    assert asked(server, "POST", "/order", order, Origin=here) == 204
    for host in ("example.com", f"example.com:{server.server_port}", "127.0.0.1", ""):
        assert asked(server, "GET", "/", Host=host) == 403
    for origin in ("http://example.com", "null", "http://127.0.0.1:1", here + ".example.com"):
        assert asked(server, "GET", "/", Origin=origin) == 403
        assert asked(server, "POST", "/order", order, Origin=origin) == 403
    assert asked(server, "POST", "/order", order, Content_Type="text/plain") == 400
    assert asked(server, "POST", "/order", json.dumps({"hold": 0.9})) == 400
    assert asked(server, "POST", "/order", json.dumps({"checkpoint": "../x.safetensors"})) == 400
    for path in ("/../pyproject.toml", "/page.html", "/%2e%2e/", "/moments/../order", "*"):
        assert asked(server, "GET", path) == 404
    assert asked(server, "GET", "/moments?field=G") == 400
    assert asked(server, "GET", "/moments?synapse=-1") == 400


def test_a_port_that_is_taken_is_one_line(server: Server) -> None:
    port = server.server_port
    with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 cannot be had: Address"):
        Server(server.live, port)
    with pytest.raises(ValueError, match=r"port 70000 of 127\.0\.0\.1 cannot be had"):
        Server(server.live, 70000)


def test_garbage_on_the_socket_changes_nothing(
    server: Server, session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(5)
    host = f"127.0.0.1:{server.server_port}"
    order = json.dumps({"hold": 0.3, "plastic": False, "speed": 2, "step": 2}).encode()
    settings = session.settings
    for case in range(300):
        body = fuzz.hostile_json(order, rng) if case % 3 else order
        head = f"POST /order HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        request = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
        if case % 3 != 1:
            request = fuzz.damaged_bytes(request, rng)
        if case % 10 == 0:
            request = rng.randbytes(rng.choice([1, 50, 3000]))
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as s:
            try:
                s.sendall(request[:20_000])
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except TimeoutError:
                raise  # it hangs
            except OSError:
                pass  # it hung up
    assert asked(server, "GET", "/") == 200
    assert session.settings == settings  # orders wait for who plays
    orders = list(server.live._orders)
    server.live.order({"paused": False, "speed": 64})
    server.live.run(2)
    assert orders
    for changed in orders:  # what came through was an order as it might have been meant
        session.choices.changed(
            settings, {k: v for k, v in changed.items() if k not in ("paused", "speed", "step")}
        )
    assert session.game.decisions > 0
    assert not capfd.readouterr().err


def test_a_stream_of_moments(session: Session) -> None:
    view = View(session)
    try:
        view.order(paused=True)
        connection = http.client.HTTPConnection("127.0.0.1", int(view.address[17:-1]), timeout=20)
        connection.request("GET", "/moments?field=dF&synapse=70")
        answer = connection.getresponse()
        view.order(step=4)
        seen: dict[str, Any] = {"decision": 0}
        while seen["decision"] < 4:
            size, length = struct.unpack("<II", answer.read(8))
            body = answer.read(size)
            seen = json.loads(body[:length])
        m, n = session.updates.shape
        assert size == length + 210 * 160 * 3 + m * n
        pixels = np.frombuffer(body[length : length + 210 * 160 * 3], np.uint8)
        assert np.array_equal(pixels.reshape(210, 160, 3), session.screen)
        shown = np.frombuffer(body[-m * n :], np.uint8).reshape(m, n)
        assert np.array_equal(shown != 128, session.updates != 0)
        assert seen["synapse"]["number"] == 70
        connection.close()
        assert view._repr_html_().startswith(f'<iframe src="{view.address}"')
    finally:
        view.close()
    assert not view._player.is_alive()


# ---- the page ----------------------------------------------------------------------------------

in_browser = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and its driver")


def decision(browser: Browser) -> int:
    return int(browser.run("return Number(document.body.dataset.decision || 0)"))


def set_input(browser: Browser, name: str, value: Any) -> None:
    browser.run(
        "const e = document.getElementById(arguments[0]);"
        "if (e.type === 'checkbox') e.checked = arguments[1]; else e.value = arguments[1];"
        "e.dispatchEvent(new Event('change'))",
        name,
        value,
    )


@in_browser
def test_the_page(session: Session) -> None:
    view = View(session, gpu=gpu_energies())
    with Browser() as browser:
        try:
            browser.open(view.address)
            first = browser.until(lambda: decision(browser))
            browser.until(lambda: decision(browser) > first)
            controls_have_their_effect(browser, session)
            pauses_steps_and_sums(browser, session)
            chooses(browser, session)
            two_pages_one_game(browser, session, view)
            for width in (1280, 390):
                browser.open(view.address, width)
                browser.until(lambda: decision(browser))
                assert browser.run("return document.documentElement.scrollWidth") <= width
            (refused,) = browser.log()
            assert "/order" in refused
            browser.close()
            at = session.game.decisions, session.n_games
            browser.until(lambda: (session.game.decisions, session.n_games) != at)
        finally:
            view.close()


def controls_have_their_effect(browser: Browser, session: Session) -> None:
    network = session.agent.network
    set_input(browser, "hold", "0.35")
    browser.until(lambda: (network.view_of_synapses("V_bias") == 0.35).all())
    agreed(browser, session)
    browser.keys("\ue013")  # arrow up
    browser.until(lambda: session.settings.hold == 0.37)
    browser.keys("o")
    browser.until(lambda: (network.view_of_synapses("V_bias") < 0.3).all())
    set_input(browser, "plastic", False)
    browser.until(lambda: not network.view_of_synapses("Gamma").any())
    agreed(browser, session)
    browser.keys("g")
    browser.until(lambda: network.view_of_synapses("Gamma").any())
    for name, value in (
        *(("sticky", 0.5), ("flicker", 0.25), ("corrupt_devices_prob", 0.2)),
        *(("checkpoint", "pong_memory"), ("device", "from 200 mV")),
    ):
        set_input(browser, name, value)
        browser.until(partial(has, session, name, value))
    browser.until(lambda: session.updates.shape == (2592, 64) and session.game.decisions > 2)
    set_input(browser, "checkpoint", "pong")
    set_input(browser, "seed", "77")
    browser.run("document.getElementById('again').click()")
    browser.until(lambda: session.settings.seed == 77 and session.updates.shape == (2656, 64))
    text = "return document.getElementById('log').textContent"
    browser.until(lambda: ":seed=77" in browser.run(text))
    assert ":hold=0.35" in browser.run(text)
    browser.run("live.order({sticky: 9})")
    browser.until(lambda: "sticky must be" in browser.run("return $('said').textContent"))


def has(session: Session, name: str, value: object) -> bool:
    return bool(getattr(session.settings, name) == value)


def agreed(browser: Browser, session: Session) -> None:
    """Wait for the page to show the settings."""
    settings = session.settings.to_json()
    browser.until(lambda: browser.run("return now.settings") == settings)


def pauses_steps_and_sums(browser: Browser, session: Session) -> None:
    browser.until(lambda: session.game.decisions > 3)
    browser.keys(" ")
    browser.until(lambda: browser.run("return $('pause').textContent") == "Play")
    at = session.game.decisions
    browser.keys("\ue014")  # arrow right
    browser.until(lambda: decision(browser) == at + 1)
    assert session.game.decisions == at + 1
    exact = "return [...document.querySelectorAll('#energies tr')].map(r => r.dataset.joule)"
    spent = session.energy()
    browser.until(lambda: [float(x) for x in browser.run(exact)[:3]] == list(spent.values()))
    gpu = [joule * (session.updates.size * (at + 1)) for joule in gpu_energies().values()]
    assert [float(x) for x in browser.run(exact)[4:]] == gpu
    assert browser.run("return now.h") == session.agent.h.tolist()
    shown = browser.run("return $('score').textContent").replace("\N{MINUS SIGN}", "-")
    assert float(shown) == session.game.score


def chooses(browser: Browser, session: Session) -> None:
    for name in FIELDS:
        browser.run(f"document.querySelector('#fields [value={name}]').click()")
        browser.run("$('action').dataset.asked = arguments[0]", name)
        browser.until(lambda: browser.run("return now.field === $('action').dataset.asked"))
    # a click in the middle of the pixel of input 700 and unit 9
    browser.run(
        "const c = $('picture'), b = c.getBoundingClientRect(), strip = Math.floor(700 / columns);"
        "const x = b.left + (700 % columns + .5) * b.width / columns;"
        "const y = b.top + (strip * 67 + 9.5) * b.height / c.height;"
        "c.dispatchEvent(new MouseEvent('click', {clientX: x, clientY: y}))"
    )
    browser.until(lambda: browser.run("return now.synapse.number === chosen"))
    i, j = divmod(browser.run("return chosen"), 64)
    assert (abs(i - 700) <= 1, abs(j - 9) <= 1) == (True, True)  # a mouse is at whole pixels
    title = browser.run("return $('chosen').textContent")
    assert title == f"Synapse from feature {i} onto unit {j}"
    assert browser.run("return now.synapse.W") == session.agent.network.of_synapses("W")[i, j]
    browser.run("$('picture').focus()")
    browser.keys("\ue014")
    browser.until(lambda: browser.run("return now.synapse.number") == (i + 1) * 64 + j)
    browser.run("document.activeElement.blur()")


def two_pages_one_game(browser: Browser, session: Session, view: View) -> None:
    one = browser.windows()[0]
    two = browser.window()
    browser.open(view.address)
    at = session.game.decisions
    browser.until(lambda: decision(browser) == at)
    browser.keys("\ue014")
    numbers = "return [now.decision, now.score, now.energy, now.h, Array.from(now.rgb).join()]"
    summed = "return now.energy_decision === arguments[0] && now.decision === arguments[0]"
    browser.until(lambda: browser.run(summed, at + 1))
    seen = browser.run(numbers)
    browser.close()
    browser.choose(one)
    browser.until(lambda: browser.run(summed, at + 1))
    assert browser.run(numbers) == seen
    assert two not in browser.windows()
    browser.keys(" ")


@in_browser
def test_a_recorded_game_plays_without_a_server(tmp_path: Path) -> None:
    path = tmp_path / "game.html"
    command = ["--record", str(path), "--seconds", "2", "--at", "12:hold=0.4", "--target", "numpy"]
    watch = scripts.load("watch")
    assert watch.main(command) == 0
    assert not re.search(rb"(src|href)=.?(https?:)?//", path.read_bytes())
    options = watch.parse_arguments(["--target", "numpy"])
    session = watch.session_of(options)
    frames = []
    for k in range(30):
        if k == 12:
            session.change(hold=0.4)
        frames.append(session.step())
    with Browser() as browser:
        browser.open(path.as_uri())
        browser.until(lambda: decision(browser) == 1)
        browser.keys("\ue010")  # end
        browser.until(lambda: decision(browser) == 30)
        energy = browser.run("return now.energy")
        assert energy == session.energy()
        h = np.array(browser.run("return now.h"))
        np.testing.assert_allclose(h, frames[-1].h, rtol=0, atol=0.5 / 127 + 1e-12)
        assert browser.run("return Array.from(now.rgb)") == session.screen.ravel().tolist()
        one = browser.run("return now.synapse")
        trace = session.field("F")[one["i"], one["j"]]
        most = browser.run("return replay.meta.scale.tracked_F")
        assert one["F"] == pytest.approx(trace, rel=0, abs=0.5 * most + 1e-15)
        assert (one["volt"], one["W"]) == (0.4, session.field("W")[one["i"], one["j"]])
        picture = browser.run("return [Array.from(now.bytes), now.picture]")
        coded = signed_bytes(session.field("F").astype(np.float32), picture[1]["scale"], 15)
        assert np.array_equal(picture[0], coded.ravel())
        browser.keys("\ue012")  # arrow left
        browser.until(lambda: decision(browser) == 29)
        browser.run("$('scrub').value = 7; $('scrub').dispatchEvent(new Event('input'))")
        browser.until(lambda: decision(browser) == 7)
        assert browser.run("return now.action") == frames[6].action
        assert browser.run("return now.synapse.volt") < 0.3
        browser.keys(" ")
        browser.until(lambda: decision(browser) > 9)
        assert browser.log() == []


# ---- the command -------------------------------------------------------------------------------


def test_an_interrupt_is_one_line() -> None:
    program = [sys.executable, str(scripts.FOLDER / "pong_live.py"), "--target", "numpy"]
    running = subprocess.Popen(
        [*program, "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert running.stdout is not None
    assert running.stderr is not None
    said = running.stdout.readline()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/ shows the game; Ctrl-C ends it\.\n", said)
    running.send_signal(signal.SIGINT)
    assert running.wait(120) == 130
    assert running.stderr.read() == "mstpn watch: stopped\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "5"], "change must be DECISION:NAME=VALUE, got '5'"),
        (["--at", "5:hold=7"], "bias_voltage must lie in"),
        (["--hold", "0.7"], "bias_voltage must lie in"),
        (["--checkpoint", "nowhere.safetensors"], "checkpoint nowhere.safetensors: no such file"),
        (["--record", "x.html", "--terminal"], "--record shows nothing meanwhile"),
        (["--record", "x.html", "--at", "5:seed=3"], "--at seed begins another game"),
    ],
    ids=str,
)
def test_what_the_command_refuses(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = scripts.refusal(scripts.load("watch"), [*arguments, "--target", "numpy"], capsys)
    assert said in line
    assert not list(tmp_path.iterdir())


def test_a_page_is_shown_one_of_the_fields_only() -> None:
    with pytest.raises(ValueError, match="field must be one of F, dF, W, energy, got 'G'"):
        PageView("G")
