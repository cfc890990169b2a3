#!/usr/bin/env python3
"""Writes the inputs of all tests; then writes the outputs with an unoptimised build (CC, else clang).

The inputs depend on nothing but this file. What a test covers is in its name's line below.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RANDOM = random.Random(1)


def number(low, high):
    """A whole number; only random() itself is the same in all versions of Python."""
    return low + int(RANDOM.random() * (high - low + 1))


def grid(rows, columns, queries, walls, corners=False):
    cells = ["".join("#" if RANDOM.random() < walls else "." for _ in range(columns)) for _ in range(rows)]
    cells[0] = "." * columns
    cells[-1] = "." * columns
    lines = [f"{rows} {columns} {queries}"] + cells
    for i in range(queries):
        if corners:
            lines.append(f"0 {number(0, columns // 9)} {rows - 1} {columns - 1 - i}")
        else:
            lines.append(f"{number(0, rows - 1)} {number(0, columns - 1)} {number(0, rows - 1)} {number(0, columns - 1)}")
    return "\n".join(lines) + "\n"


def snake(rows, columns, queries):
    """A corridor that fills the grid, back and forth."""
    lines = [f"{rows} {columns} {queries}"]
    for row in range(rows):
        if row % 2 == 0:
            lines.append("." * columns)
        else:
            lines.append("#" * (columns - 1) + "." if row % 4 == 1 else "." + "#" * (columns - 1))
    lines += [f"0 {i} {rows - 1} {i}" for i in range(queries)]
    return "\n".join(lines) + "\n"


def words(count, longest):
    vocabulary = []
    for _ in range(200):
        letters = [chr(number(97, 122)) for _ in range(number(1, longest))]
        if RANDOM.random() < 0.1:
            letters += letters[::-1]
        if RANDOM.random() < 0.3:
            letters[number(0, len(letters) - 1)] = "AEIOU-'.!7"[number(0, 9)]
        vocabulary.append("".join(letters))
    chosen = [vocabulary[int(RANDOM.random() ** 2 * 200)] for _ in range(count)]
    return "\n".join(" ".join(chosen[i : i + 12]) for i in range(0, count, 12)) + "\n"


def bodies(n, steps, dt):
    """A heavy body in the middle, the others on nearly round orbits around it."""
    lines = [f"{n} {steps} {dt}", "0 0 0 0 0 0 40"]
    for i in range(1, n):
        radius = 1.0 + 1.5 * i
        speed = (40 / radius) ** 0.5
        lines.append(
            f"{radius:.4f} 0 {RANDOM.random() / 5:.4f} {RANDOM.random() / 50:.4f} {speed:.4f} 0 {RANDOM.random() / 100:.5f}"
        )
    return "\n".join(lines) + "\n"


def commands(buckets, count, keys):
    lines = [str(buckets)]
    for _ in range(count):
        key = number(-keys, keys)
        kind = number(0, 7)
        lines.append(f"+ {key} {number(-999, 9999)}" if kind < 4 else f"? {key}" if kind < 7 else f"- {key}")
    return "\n".join(lines) + "\n"


def amounts(queries, count, malformed):
    lines = [str(queries)]
    for _ in range(queries):
        lowest = number(-20000, 10000)
        lines.append(f"{lowest / 100:.2f} {lowest / 100 + number(0, 300):.2f}")
    chosen = []
    for _ in range(count):
        kind = RANDOM.random()
        value = number(-30000, 30000)
        if kind < malformed:
            chosen.append(["n/a", "1.2.3", "--4", "12.345", "1e3", "+", ".5", "1234567890"][number(0, 7)])
        elif kind < 0.3:
            chosen.append(str(value))
        elif kind < 0.4:
            chosen.append(f"{value / 10:+.1f}")
        else:
            chosen.append(f"{value / 100:.2f}")
    lines += [" ".join(chosen[i : i + 10]) for i in range(0, count, 10)]
    return "\n".join(lines) + "\n"


def results(n, queries, scores, keys=("number", "name", "score", "time"), order=None):
    syllables = ["an", "be", "co", "da", "el", "fi", "go", "ha", "is", "jo", "ka", "lu", "mo", "ni"]
    lines = [f"{n} {queries}"]
    numbers = list(range(1, n + 1))
    if order == "reversed":
        numbers.reverse()
    elif order is None:
        numbers = [value for _, value in sorted((RANDOM.random(), value) for value in numbers)]
    for i in numbers:
        name = "".join(syllables[number(0, 13)] for _ in range(number(1, 4)))
        lines.append(f"{i} {name} {number(-scores, scores)} {RANDOM.random() * 1000:.2f}")
    for i in range(queries):
        lines.append(f"{keys[i % len(keys)]} {number(1, n)}")
    return "\n".join(lines) + "\n"


TESTS = {
    "grid-bfs": {
        "small-one-cell": "1 1 1\n.\n0 0 0 0\n",
        "small-no-queries": "2 3 0\n.#.\n..#\n",
        "small-walls": "3 4 5\n..#.\n.#..\n##..\n0 0 2 3\n0 3 2 2\n0 2 0 0\n1 0 0 2\n2 2 2 2\n",
        "small-one-row": "1 12 3\n......#.....\n0 0 0 5\n0 0 0 11\n0 11 0 7\n",
        "medium-open": grid(60, 80, 12, 0.1),
        "medium-maze": grid(90, 70, 10, 0.38),
        "medium-snake": snake(61, 50, 6),
        "large-open": grid(640, 640, 18, 0.12, corners=True),
        "large-maze": grid(500, 800, 22, 0.33, corners=True),
    },
    "string-building": {
        "small-empty": "",
        "small-one-letter": "a",
        "small-long-word": "x" * 150 + " " + "-" * 19 + "\n",
        "small-mixed": "  Level madam 12321 NOON noon\tit's 42!\n\nabba \xe9\n",
        "small-narrow": (words(40, 8), ["20"]),
        "medium-prose": words(900, 9),
        "medium-short": words(2500, 3),
        "medium-wide": (words(1200, 14), ["200"]),
        "large-prose": words(12000, 9),
        "large-narrow": (words(20000, 4), ["40"]),
    },
    "matrix-product": {
        "small-one": "1 3 7\n",
        "small-no-product": "5 0 1\n",
        "small-negative-seed": "3 4 -2147483648\n",
        "small-largest-seed": "17 2 2147483647\n",
        "medium-odd": "63 3 11\n",
        "medium-power-of-two": "64 4 -5\n",
        "medium-many": "40 100 99\n",
        "large-square": "400 1 2024\n",
        "large-powers": "150 25 -77\n",
    },
    "n-body": {
        "small-one": "1 100 0.01\n1 -2 3 0.5 0 -0.25 2\n",
        "small-no-steps": "2 0 0.5\n0 0 0 0 0 0 1\n3 4 0 0 0 0 2\n",
        "small-massless": "2 50 0.001\n-1 0 0 0 1 0 0\n1 0 0 0 -1 0 0\n",
        "small-far": "3 20 0.25\n-1000 0 0 1 0 0 1000\n1000 0 0 0 1 0 1000\n0 1000 1000 0 0 -1 0.5\n",
        "medium-five": bodies(5, 2000, 0.001),
        "medium-twenty": bodies(20, 300, 0.002),
        "medium-forty": bodies(40, 60, 0.001),
        "large-five": bodies(5, 1500000, 0.0002),
        "large-fifty": bodies(50, 16000, 0.0002),
    },
    "popcount": {
        "small-one": "1 1 0\n",
        "small-two": "2 1 -1\n",
        "small-many-words": "3 64 1000000000\n",
        "small-copies": "16 2 -1000000000\n",
        "medium-short": "300 1 5\n",
        "medium-four": "150 4 6\n",
        "medium-long": "40 50 7\n",
        "large-short": "2300 1 8\n",
        "large-four": "1100 8 9\n",
    },
    "hash-table": {
        "small-empty": "1\n",
        "small-one-bucket": "1\n+ 5 10\n+ -5 20\n+ 5 -3\n? 5\n? -5\n? 6\n- 5\n? 5\n- 5\n+ 0 0\n",
        "small-extremes": "7\n+ 1000000000000 -1000000000000\n+ -1000000000000 1000000000000\n? 1000000000000\n"
        "? -1000000000000\n* 0 1 0\n* 10 1 -1\n",
        "small-random": "5\n* 100 20 3\n? 13\n* 100 20 -3\n? 13\n",
        "medium-commands": commands(101, 2000, 300),
        "medium-chains": "50\n* 20000 1000 42\n? 6\n* 20000 1000 43\n",
        "medium-sparse": "100000\n* 10000 5000 7\n",
        "large-chains": "2500\n* 900000 30000 1\n* 900000 30000 2\n",
        "large-sparse": "30000\n* 1900000 20000 3\n? 0\n* 1900000 20000 4\n",
    },
    "number-parsing": {
        "small-no-queries": "0\n1 2 3\n",
        "small-no-amounts": "1\n-5 5\n",
        "small-extremes": "2\n-999999999.99 999999999.99\n0 0\n999999999.99 -999999999.99 -0.00 +0 1000000000\n",
        "small-malformed": "1 -10 10 5 x -5.5 1. .1 - + 1.234 -+3 7-7 0x10 \xff 10 -10 10.01",
        "medium-amounts": amounts(10, 2000, 0.0),
        "medium-mixed": amounts(6, 3000, 0.3),
        "medium-short": "3\n-1 1\n0 9\n5 5\n" + "".join(f"{number(0, 9)} " for _ in range(5000)) + "\n",
        "large-amounts": amounts(90, 40000, 0.0),
        "large-mixed": amounts(110, 40000, 0.2),
    },
    "sorting-structs": {
        "small-one": "1 4\n-7 a -1 0\nnumber 1\nname 1\nscore 1\ntime 1\n",
        "small-no-queries": "2 0\n1 a 1 1\n2 b 2 2\n",
        "small-equal": "4 4\n3 x 5 1.5\n3 y 5 1.5\n3 z 5 1.5\n2 x 5 1.5\nnumber 2\nname 1\nscore 4\ntime 1\n",
        "small-extremes": "3 4\n2147483647 nineteenlettersxyz1 -2147483648 1000000\n-2147483648 A 2147483647 0.001\n"
        "0 ~ 0 999.9995\nnumber 1\nname 3\nscore 1\ntime 3\n",
        "medium-shuffled": results(600, 12, 100000),
        "medium-ties": results(800, 8, 3, keys=("score", "name")),
        "medium-reversed": results(1000, 6, 1000, keys=("number", "time"), order="reversed"),
        "large-shuffled": results(7000, 64, 100000),
        "large-ties": results(12000, 40, 20, keys=("score", "name", "time")),
    },
}


def write(program, tests, compiler, scratch):
    folder = HERE / program / "tests"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    executable = scratch / program
    sources = sorted((HERE / program).glob("*.c"))
    subprocess.run([compiler, "-std=c11", "-O0", *sources, "-o", executable, "-lm"], check=True)
    for name, test in tests.items():
        text, arguments = test if isinstance(test, tuple) else (test, [])
        data = text.encode("latin-1")
        (folder / f"{name}.in").write_bytes(data)
        if arguments:
            (folder / f"{name}.args").write_text("".join(f"{argument}\n" for argument in arguments))
        run = subprocess.run([executable, *arguments], input=data, stdout=subprocess.PIPE, check=True)
        (folder / f"{name}.out").write_bytes(run.stdout)


def main():
    compiler = os.environ.get("CC", "clang")
    with tempfile.TemporaryDirectory() as scratch:
        for program, tests in TESTS.items():
            write(program, tests, compiler, pathlib.Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
