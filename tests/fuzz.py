"""Seeded damage to files: flipped bits, cut ends, hostile values in what is parsed."""

import argparse
import json
import random
import struct
from collections.abc import Callable
from typing import Any

__all__ = [
    "HOSTILE",
    "WORDS",
    "damaged_bytes",
    "hostile_json",
    "hostile_safetensors",
    "hostile_words",
]

HOSTILE: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, -(10**30), 1.5, 1e308, -0.0),
    *(float("nan"), float("inf"), "", "\0", "none", "../../etc/passwd", "F64", "BF16", "I8"),
    *("x" * 100_000, [], {}, [[]], [1] * 1000, {"a": {}}, [2**62, 2**62], [-1, 4], "1e999"),
]


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert, repeat or swap some bytes."""
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        # half of the damage goes where headers are
        end = len(damaged) if rng.random() < 0.5 else min(len(damaged), 600)
        at = rng.randrange(max(end, 1))
        length = rng.choice([1, 4, 8, 100])
        kind = rng.randrange(5)
        if kind == 0 and damaged:
            damaged[min(at, len(damaged) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del damaged[at:]
        elif kind == 2:
            damaged[at:at] = rng.randbytes(length)
        elif kind == 3:
            damaged[at : at + length] = bytes([rng.choice([0, 255, 127])]) * length
        else:
            other = rng.randrange(max(len(damaged), 1))
            damaged[at : at + length] = damaged[other : other + length]
    return bytes(damaged)


def hostile_json(content: bytes, rng: random.Random) -> bytes:
    """Put hostile values in place of some of a JSON document, or nest or repeat them."""
    kind = rng.randrange(8)
    if kind == 0:
        return damaged_bytes(content, rng)
    if kind == 1:
        depth = rng.choice([100, 2_000, 200_000])
        return b'{"format": 1, "config": ' + b"[" * depth + b"]" * depth + b"}"
    if kind == 2:
        return content.replace(b"1", b"9" * rng.choice([20, 400, 5_000]), rng.choice([1, -1]))
    document = json.loads(content)
    for _ in range(rng.choice([1, 1, 3])):
        _replace_one(document, rng)
    return json.dumps(document).encode()


def _replace_one(document: Any, rng: random.Random) -> None:
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
            node = node[key]
        elif isinstance(node, dict) and rng.random() < 0.2:
            if rng.random() < 0.5:
                del node[key]
            else:
                node[f"{key}x"] = rng.choice(HOSTILE)
            return
        else:
            node[key] = rng.choice(HOSTILE)
            return


def hostile_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Damage bytes, or the header's names, types, shapes, offsets or length, or the numbers."""
    kind = rng.randrange(4)
    if kind == 0:
        return damaged_bytes(content, rng)
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]
    if kind == 1:
        wrong = rng.choice([0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1])
        return struct.pack("<Q", wrong) + header + data
    if kind == 2:
        at = 4 * rng.randrange(len(data) // 4)
        value = rng.choice([float("nan"), float("inf"), 1e38, -1e38, 1e-45])
        return content[: 8 + length] + data[:at] + struct.pack("<f", value) + data[at + 4 :]
    header = hostile_json(header, rng)
    return struct.pack("<Q", len(header)) + header + data


Damage = Callable[[bytes, random.Random], bytes]


WORDS: list[str] = [
    *("", " ", "-", "--", "-1", "-0", "0", "1", "2", "3.7", "1e3", "1e999", "-1e999", "9" * 30),
    *("9" * 5000, "0x10", "1_000", "1,5", " 5", "5 ", "+5", "٣", "½", "nan", "NaN", "inf", "-inf"),
    *("True", "None", "a", "a\nb", "a\tb", "é", "=", "a=b", "a=", "=b", "a=nan", "delta_f_std=0.3"),
    *("0:1", "1:0", "0.1:0.9:3", "::", "0,1", ",", "/", "/dev/null", "..", ".", "no/such/file"),
    *("x" * 5000, "../../etc/passwd", "%s", "{}", "$(ls)", "'", '"', "\x1b[31m", "cython", "all"),
]
"""What a command line may hold."""


def hostile_words(parser: argparse.ArgumentParser, rng: random.Random) -> list[str]:
    """Options of a program, some of them, with values that are good, bad or strange."""
    options = [a for a in parser._actions if a.option_strings and a.dest != "help"]
    words: list[str] = []
    for action in rng.sample(options, min(len(options), rng.choice([0, 1, 1, 2, 4]))):
        words.append(rng.choice(action.option_strings)[: rng.choice([None, None, None, 5])])
        wanted = 0 if action.nargs == 0 else 1
        if isinstance(action.nargs, int):
            wanted = action.nargs
        if rng.random() < 0.1:
            wanted += rng.choice([-1, 1])
        choices = [str(c) for c in action.choices or ()]
        for _ in range(wanted):
            words.append(rng.choice(choices if choices and rng.random() < 0.3 else WORDS))
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS))
    return words
