"""Pages to the pixel tiles that LLaVA-NeXT's image processor makes of them."""

import numpy as np
import torch
from PIL import Image

from reader import TILE

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]


def page_tiles(images):
    """[b, 160, 160, 3] uint8 → [b * 5, 3, TILE, TILE]; the page shrunk by Pillow's bicubic filter comes first."""
    b = len(images)
    small = np.stack([np.asarray(Image.fromarray(i).resize((TILE, TILE), Image.BICUBIC)) for i in images])
    quarters = images.reshape(b, 2, TILE, 2, TILE, 3).transpose(0, 1, 3, 2, 4, 5).reshape(b, 4, TILE, TILE, 3)
    tiles = np.concatenate([small[:, None], quarters], 1).reshape(b * 5, TILE, TILE, 3)
    x = torch.from_numpy(np.ascontiguousarray(tiles)).permute(0, 3, 1, 2).float() / 255
    return (x - MEAN) / STD
