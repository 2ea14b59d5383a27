"""Whether a watched game keeps to real time on one core, the page open beside it.

    PYTHONPATH=tests python tests/benchmarks/watch.py --core 0 --seconds 20 --json watch.json

The program and a headless browser share the core. Wall times mean something on an idle core only;
processor times are of the program and of all processes of the browser.
"""

import argparse
import json
import os
import time
from pathlib import Path

from browser import Browser

from mstpn.commands.watch import view

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
COUNT = "const f = draw; window.drawings = 0; draw = () => { window.drawings++; f(); };"


def processor_seconds(parent: int) -> float:
    """Of a process and all below it."""
    spent: dict[int, float] = {}
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) * TICK_S
            below.setdefault(int(fields[1]), []).append(int(folder.name))

    def total(process: int) -> float:
        return spent.get(process, 0.0) + sum(total(one) for one in below.get(process, ()))

    return total(parent)


def measure(field: str, seconds: float) -> dict[str, float]:
    """Decisions a second and milliseconds a decision with the page showing a field."""
    shown = view("--target", "auto")
    game = shown.live.session.game
    try:
        with Browser() as browser:
            browser.open(shown.address)
            browser.until(lambda: browser.run("return Boolean(now)"))
            browser.run(COUNT)
            browser.run(f"document.querySelector('#fields [value={field}]').click()")
            time.sleep(2)
            drawn = browser.run("return drawings")
            made, own, others = (
                game.decisions,
                time.process_time(),
                processor_seconds(browser.process_id),
            )
            started = time.perf_counter()
            time.sleep(seconds)
            wall, made = time.perf_counter() - started, game.decisions - made
            own = time.process_time() - own
            others = processor_seconds(browser.process_id) - others
            drawn = browser.run("return drawings") - drawn
    finally:
        shown.close()
        shown.live.session.close()
    return {
        "decisions_per_second": made / wall,
        "drawings_per_decision": drawn / made,
        "program_ms_per_decision": 1e3 * own / made,
        "browser_ms_per_drawing": 1e3 * others / max(drawn, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A watched game on one core, page open.")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    found = {field: measure(field, options.seconds) for field in ("F", "dF", "energy")}
    load = os.getloadavg()[0]
    print(f"core {options.core}, load average {load:.1f}; 66.7 ms a decision are real time")
    for field, values in found.items():
        print(f"{field:>6}  " + ", ".join(f"{name} {value:.2f}" for name, value in values.items()))
    if options.json is not None:
        options.json.write_text(json.dumps({"load": load, "fields": found}, indent=1))


if __name__ == "__main__":
    main()
