"""Pages from the project's own generator, as arrays."""

import json
import struct
import subprocess

import numpy as np

CELLS = 20
NO_CELL = -1


def pages(binary, first_seed, count, kind=None):
    """Yields (header, image [160, 160, 3] uint8) of consecutive seeds."""
    command = [str(binary), str(first_seed), str(count)] + ([kind] if kind else [])
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=1 << 22) as process:
        while head := process.stdout.read(4):
            header = json.loads(process.stdout.read(struct.unpack("<I", head)[0]))
            width, height = header["size"]
            image = np.frombuffer(process.stdout.read(width * height * 3), np.uint8).reshape(height, width, 3)
            for name in ("content", "field", "offset", "row", "column"):
                header[name] = np.array(header[name], np.int64)
            yield header, image


class Encoder:
    """Questions to token ids; answers end with </s>."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.cache = {}
        self.newline = tokenizer.encode("\n", add_special_tokens=False)
        self.end_of_prompt = tokenizer.convert_tokens_to_ids("[/INST]")
        self.eos = tokenizer.eos_token_id

    def ids(self, text):
        if text not in self.cache:
            if len(self.cache) > 200_000:
                self.cache.clear()
            self.cache[text] = self.tokenizer.encode(text, add_special_tokens=False)
        return self.cache[text]

    def question(self, question):
        """(prompt ids, answer ids, evidence cells per answer token)"""
        prompt = self.newline + self.ids(question["text"]) + [self.end_of_prompt]
        answer = self.ids(question["answer"])
        evidence = question["evidence"]
        if question["task"] != "form":
            evidence = [evidence[0]] * len(answer)
        assert len(evidence) == len(answer), question
        return prompt, answer + [self.eos], evidence


def choose(header, limit, rng, weights):
    """At most `limit` questions of a page; `weights` makes a task rarer or more frequent."""
    questions = header["questions"]
    keys = np.array([rng.random() ** (1.0 / weights.get(q["task"], 1.0)) for q in questions])
    return [questions[i] for i in np.argsort(-keys)[:limit]]


def question_batch(headers, encoder, limit, rng, weights):
    """Packs the questions of each page into one row: ids, labels, segment, position within the segment, the
    evidence of each row (list of (page, row, cells)), rows of prompt ends, and the task of each row."""
    rows = []
    for header in headers:
        ids, labels, segment, offset, evidence, tasks = [], [], [], [], [], []
        for s, question in enumerate(choose(header, limit, rng, weights)):
            prompt, answer, cells = encoder.question(question)
            tokens = prompt + answer[:-1]
            start = len(ids)
            ids += tokens
            labels += [-100] * (len(prompt) - 1) + answer
            segment += [s] * len(tokens)
            offset += range(len(tokens))
            last = start + len(prompt) - 1
            evidence += [(last + i, c) for i, c in enumerate(cells) if c]
            whole = sorted({c for group in cells for c in group})
            if whole:
                evidence += [(last - 1, whole), (last, whole)]
            tasks.append((question["task"], last, len(answer)))
        rows.append((ids, labels, segment, offset, evidence, tasks))
    width = max(len(r[0]) for r in rows)

    def pad(column, fill):
        return np.array([r[column] + [fill] * (width - len(r[column])) for r in rows], np.int64)

    return {
        "ids": pad(0, 0), "labels": pad(1, -100), "segment": pad(2, -1), "offset": pad(3, 0),
        "evidence": [r[4] for r in rows], "tasks": [r[5] for r in rows],
    }
