"""Stage 1: the decoder learns to answer from pages whose visual tokens are oracle embeddings of their cells.

Blank cells are left out (positions stay), so that a page is short; the vision tower learns in parallel
(vision_stage.py) to produce these same embeddings, which are fixed random vectors."""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from data import Encoder, pages, question_batch
from reader import FIELDS, OFFSETS, PLACES, PREFIX, TEXT, BASE, PAGE, ROW, Reader, position_of_cells

CELL_POSITION = position_of_cells().numpy()
WEIGHTS = {"form": 1.0, "grid": 0.6, "count": 1.2, "caption": 1.0, "sum": 1.0}


def content_embeddings():
    """Fixed embeddings of cell contents; a printed character and its token share one. [256, hidden]"""
    generator = torch.Generator().manual_seed(1234)
    return torch.randn(256, TEXT["hidden"], generator=generator) * 0.3


def tie_characters(model, tokenizer, table):
    with torch.no_grad():
        for code in range(33, 127):
            ids = tokenizer.encode(chr(code), add_special_tokens=False)
            if len(ids) == 1:
                model.embed_tokens.weight[ids[0]] = table[code]


def sparse_page(headers, keep_blank, rng):
    """Kept visual tokens of each page: contents (256 = newline), index among the visual tokens, keep mask."""
    rows = []
    for h in headers:
        content = h["content"]
        shown = (content > 0) | (h["row"] > 0) | (rng.random(content.size) < keep_blank)
        cells = np.flatnonzero(shown)
        index = np.concatenate([CELL_POSITION[cells], BASE + np.arange(PAGE) * ROW + PAGE])
        code = np.concatenate([content[cells], np.full(PAGE, 256)])
        cell = np.concatenate([cells, np.full(PAGE, -1)])
        order = np.argsort(index)
        rows.append((code[order], index[order], cell[order]))
    width = max(len(r[0]) for r in rows)
    pad = lambda k, fill: np.stack([np.concatenate([r[k], np.full(width - len(r[k]), fill)]) for r in rows])
    return pad(0, 0), pad(1, 0), pad(2, -1), np.stack([np.arange(width) < len(r[0]) for r in rows])


def losses(output, batch, headers, column_of_cell):
    """Answer, evidence and feature losses. `column_of_cell` [b, cells] → column among the page's tokens or -1."""
    logits, scores, features = output
    labels = torch.from_numpy(batch["labels"])
    answer = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    log_p = scores.log_softmax(-1)
    pages_, rows, heads, columns, weights = [], [], [], [], []
    for b, evidence in enumerate(batch["evidence"]):
        for row, cells in evidence:
            where = column_of_cell[b, cells]
            where = where[where >= 0]
            if not len(where):
                continue
            # Head 0 looks at the next character, head 1 at the whole value.
            head = 0 if len(cells) == 1 else 1
            pages_ += [b] * len(where)
            rows += [row] * len(where)
            heads += [head] * len(where)
            columns += where.tolist()
            weights += [1 / len(where)] * len(where)
    weights = torch.tensor(weights)
    look = -(log_p[pages_, heads, rows, columns] * weights).sum() / weights.sum()
    b_index, cells = np.nonzero((column_of_cell >= 0) & np.stack([(h["field"] + h["row"]) > 0 for h in headers]))
    known = torch.tensor(0.0)
    if len(cells):
        f = features[b_index, column_of_cell[b_index, cells]]
        target = lambda name: torch.from_numpy(np.stack([h[name] for h in headers])[b_index, cells])
        field, offset, row, column = f.split([FIELDS, OFFSETS, PLACES, PLACES], -1)
        for prediction, name in ((field, "field"), (offset, "offset"), (row, "row"), (column, "column")):
            known = known + F.cross_entropy(prediction, target(name))
    return answer, look, known


def accuracy(logits, batch, totals):
    predicted = logits.argmax(-1).numpy()
    for b, tasks in enumerate(batch["tasks"]):
        for task, last, length in tasks:
            right = (predicted[b, last : last + length] == batch["labels"][b, last : last + length]).all()
            totals[task][0] += right
            totals[task][1] += 1


def report(totals):
    return " ".join(f"{t} {100 * r / max(n, 1):.1f}%" for t, (r, n) in sorted(totals.items()))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--stream", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=20000)
    p.add_argument("--stop", type=int, help="end early; the learning rate still aims at --steps")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--limit", type=int, default=10)
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--first-seed", type=int, default=0)
    p.add_argument("--keep-blank", type=float, default=0.05)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--resume")
    p.add_argument("--kind")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tokenizer = AutoTokenizer.from_pretrained(a.tokenizer)
    encoder = Encoder(tokenizer)
    model = Reader(len(tokenizer))
    table = content_embeddings()
    tie_characters(model, tokenizer, table)
    if a.resume:
        model.load_state_dict(torch.load(a.resume))
    trained = [q for name, q in model.named_parameters() if not name.startswith(("tower", "projector"))]
    print("decoder parameters", sum(q.numel() for q in trained), flush=True)
    optimizer = torch.optim.AdamW(trained, lr=a.rate, betas=(0.9, 0.98), weight_decay=0.01)
    source = pages(a.stream, a.first_seed, 1 << 40, a.kind)
    totals, sums, started = defaultdict(lambda: [0, 0]), np.zeros(3), time.time()
    prefix = torch.tensor([tokenizer.convert_tokens_to_ids(["<s>", "[INST]"])])
    last = a.stop or a.steps
    for step in range(1, last + 1):
        headers = [next(source)[0] for _ in range(a.batch)]
        code, index, cell, keep = sparse_page(headers, a.keep_blank, rng)
        batch = question_batch(headers, encoder, a.limit, rng, WEIGHTS)
        full_table = torch.cat([table, model.image_newline[None]])
        page = torch.cat([model.embed_tokens(prefix).expand(a.batch, -1, -1), full_table[torch.from_numpy(code)]], 1)
        positions = torch.cat([torch.arange(PREFIX).expand(a.batch, -1), PREFIX + torch.from_numpy(index)], 1)
        keep = torch.cat([torch.ones(a.batch, PREFIX, dtype=torch.bool), torch.from_numpy(keep)], 1)
        column_of_cell = np.full((a.batch, PAGE * PAGE), -1)
        for b in range(a.batch):
            present = np.flatnonzero(cell[b] >= 0)
            column_of_cell[b, cell[b, present]] = PREFIX + present
        output = model.decode(page, positions, keep, *(torch.from_numpy(batch[k]) for k in ("ids", "segment", "offset")))
        parts = losses(output, batch, headers, column_of_cell)
        loss = parts[0] + 0.3 * parts[1] + 0.1 * parts[2]
        for group in optimizer.param_groups:
            group["lr"] = a.rate * min(1, step / 200) * max(0.1, 1 - step / a.steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        sums += [x.item() for x in parts]
        accuracy(output[0].detach(), batch, totals)
        if step % 50 == 0:
            speed = 50 * a.batch / (time.time() - started)
            print(f"step {step} loss {sums / 50} {report(totals)} | {speed:.1f} pages/s width {page.shape[1]}+{batch['ids'].shape[1]}", flush=True)
            totals, sums, started = defaultdict(lambda: [0, 0]), np.zeros(3), time.time()
        if step % 500 == 0 or step == last:
            torch.save(model.state_dict(), Path(a.out))


if __name__ == "__main__":
    main()
