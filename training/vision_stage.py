"""Stage 2: the vision tower and projector learn to name what stands in every cell, by producing the embedding
that the decoder was taught on (text_stage.py). The shrunk page is taught to be blank."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from data import pages
from reader import BASE, Reader, position_of_cells
from text_stage import content_embeddings
from tiles import page_tiles


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--stream", required=True)
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=4000)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--first-seed", type=int, default=1_000_000_000)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--resume")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(a.tokenizer)
    model = Reader(len(tokenizer))
    if a.resume:
        model.load_state_dict(torch.load(a.resume))
    table = content_embeddings()
    trained = list(model.tower.parameters()) + list(model.projector.parameters())
    print("vision parameters", sum(q.numel() for q in trained), flush=True)
    optimizer = torch.optim.AdamW(trained, lr=a.rate, betas=(0.9, 0.98), weight_decay=0.01)
    # Half of the pages are full of characters: many more glyphs to learn from in the same time.
    sources = [pages(a.stream, a.first_seed, 1 << 40), pages(a.stream, a.first_seed, 1 << 40, "text")]
    cells = position_of_cells()
    started, total, right, blank_right = time.time(), 0.0, np.zeros(2), np.zeros(2)
    for step in range(1, a.steps + 1):
        headers, images = zip(*(next(sources[i % 2]) for i in range(a.batch)))
        content = torch.from_numpy(np.stack([h["content"] for h in headers]))
        visual = model.visual(page_tiles(np.stack(images)), a.batch)
        seen = visual[:, cells]
        target = table[content]
        # Blank cells are the great majority; they weigh as much as all others together.
        weight = torch.where(content > 0, 1.0 / (content > 0).sum(), 1.0 / (content == 0).sum())
        distance = (((seen - target) ** 2).mean(-1) * weight).sum()
        logits = (seen @ table.T * 4 - 2 * (table**2).sum(-1))
        name = (F.cross_entropy(logits.flatten(0, 1), content.flatten(), reduction="none") * weight.flatten()).sum()
        base = ((visual[:, :BASE] - table[0]) ** 2).mean()
        loss = name + 5 * distance + base
        for group in optimizer.param_groups:
            group["lr"] = a.rate * min(1, step / 200) * max(0.05, 1 - step / a.steps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        total += loss.item()
        hit = logits.argmax(-1) == content
        right += np.array([hit[content > 0].sum(), (content > 0).sum()])
        blank_right += np.array([hit[content == 0].sum(), (content == 0).sum()])
        if step % 50 == 0:
            speed = 50 * a.batch / (time.time() - started)
            print(f"step {step} loss {total / 50:.4f} distance {distance.item():.5f} base {base.item():.5f} glyphs {100 * right[0] / right[1]:.2f}% blanks {100 * blank_right[0] / blank_right[1]:.2f}% | {speed:.1f} pages/s", flush=True)
            started, total, right, blank_right = time.time(), 0.0, np.zeros(2), np.zeros(2)
        if step % 500 == 0 or step == a.steps:
            torch.save(model.state_dict(), Path(a.out))


if __name__ == "__main__":
    main()
