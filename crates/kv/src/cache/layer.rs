//! One layer of the cache: its blocks, and which position each row has.

use std::sync::Arc;

use super::block::{Block, Part};
use super::{CacheShape, MemoryPool, PAGE_ROWS};
use crate::{CacheError, Plan};

/// A block and how many rows of each KV head are in use here. Forked caches share blocks.
pub(super) type Filled = (Arc<Block>, Vec<usize>);

#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) blocks: Vec<Filled>,
    /// What is left of the first `compressed` positions, per KV head; rows after them hold consecutive positions.
    kept: Vec<Arc<[u32]>>,
    compressed: usize,
    /// Tokens seen.
    logical: usize,
}

impl Layer {
    pub(super) fn new(kv_heads: usize) -> Self {
        Self {
            blocks: Vec::new(),
            kept: vec![Arc::default(); kv_heads],
            compressed: 0,
            logical: 0,
        }
    }

    pub(super) fn logical_len(&self) -> usize {
        self.logical
    }

    /// Length of the prompt that was compacted, 0 if none was.
    pub(super) fn compressed(&self) -> usize {
        self.compressed
    }

    pub(super) fn physical_len(&self, head: usize) -> usize {
        self.kept[head].len() + self.logical - self.compressed
    }

    pub(super) fn positions(&self, head: usize) -> Vec<u32> {
        self.kept[head]
            .iter()
            .copied()
            .chain(self.compressed as u32..self.logical as u32)
            .collect()
    }

    /// The row that holds a position.
    fn row(&self, head: usize, position: u32) -> Option<usize> {
        let kept = &self.kept[head];
        match (position as usize).checked_sub(self.compressed) {
            Some(after) => (position < self.logical as u32).then_some(kept.len() + after),
            None => kept.binary_search(&position).ok(),
        }
    }

    /// `keys` and `values` are `[rows, KV heads, head dim]`, already checked.
    pub(super) fn append(
        &mut self,
        shape: &CacheShape,
        pool: &MemoryPool,
        keys: &[f32],
        values: &[f32],
        rows: usize,
    ) -> Result<(), CacheError> {
        if u32::try_from(self.logical.saturating_add(rows)).is_err() {
            return Err(CacheError::TooLong);
        }
        let first_block = self.blocks.len() - usize::from(self.room() > 0);
        self.reserve(shape, pool, rows)?;
        let width = shape.kv_heads * shape.head_dim;
        let mut first = 0;
        for (block, filled) in &mut self.blocks[first_block..] {
            let count = room_of(block, filled).min(rows - first);
            // New blocks and those with room are not shared.
            let Some(block) = Arc::get_mut(block) else {
                break;
            };
            for (head, filled) in filled.iter_mut().enumerate() {
                for row in 0..count {
                    let at = (first + row) * width + head * shape.head_dim;
                    block.write(
                        head,
                        Part::Keys,
                        *filled + row,
                        &keys[at..at + shape.head_dim],
                    );
                    block.write(
                        head,
                        Part::Values,
                        *filled + row,
                        &values[at..at + shape.head_dim],
                    );
                }
                *filled += count;
            }
            first += count;
        }
        debug_assert_eq!(first, rows, "rows without a place");
        self.logical += rows;
        Ok(())
    }

    /// Takes a block for `rows` more rows, as far as they don't fit into the last one: a prompt gets one block that fits,
    /// decoded tokens get pages.
    pub(super) fn reserve(
        &mut self,
        shape: &CacheShape,
        pool: &MemoryPool,
        rows: usize,
    ) -> Result<(), CacheError> {
        let missing = rows.saturating_sub(self.room());
        if missing > 0 {
            let capacity = missing
                .checked_next_multiple_of(PAGE_ROWS)
                .ok_or(CacheError::TooLong)?;
            let capacities = vec![capacity; shape.kv_heads];
            let block = Block::new(pool, shape.dtype, shape.head_dim, capacities)?;
            self.blocks.push((Arc::new(block), vec![0; shape.kv_heads]));
        }
        Ok(())
    }

    /// Rows that still fit into the last block; none if another cache shares it.
    fn room(&self) -> usize {
        match self.blocks.last() {
            Some((block, filled)) if Arc::strong_count(block) == 1 => room_of(block, filled),
            _ => 0,
        }
    }

    /// Whether all that the plan keeps of this layer is there.
    pub(super) fn check(&self, index: usize, plan: &Plan) -> Result<(), CacheError> {
        if plan.prompt_len() != self.logical {
            return Err(CacheError::Plan {
                what: "tokens",
                expected: self.logical,
                found: plan.prompt_len(),
            });
        }
        for head in 0..self.kept.len() {
            let missing = plan
                .kept(index, head)
                .iter()
                .find(|position| self.row(head, **position).is_none());
            if let Some(position) = missing {
                return Err(CacheError::Evicted {
                    layer: index,
                    kv_head: head,
                    position: *position,
                });
            }
        }
        Ok(())
    }

    /// Moves what the plan keeps to a block of its own and drops the others.
    pub(super) fn compact(
        &mut self,
        shape: &CacheShape,
        pool: &MemoryPool,
        index: usize,
        plan: &Plan,
    ) -> Result<(), CacheError> {
        let heads = 0..shape.kv_heads;
        let counts: Vec<usize> = heads
            .clone()
            .map(|head| plan.kept(index, head).len())
            .collect();
        if heads
            .clone()
            .all(|head| counts[head] == self.physical_len(head))
        {
            return Ok(()); // all that is there is kept
        }
        let mut block = Block::new(pool, shape.dtype, shape.head_dim, counts.clone())?;
        for head in heads.clone() {
            self.gather(&mut block, head, plan.kept(index, head));
        }
        self.blocks = vec![(Arc::new(block), counts)];
        self.kept = heads
            .map(|head| Arc::clone(plan.kept_shared(index, head)))
            .collect();
        self.compressed = self.logical;
        Ok(())
    }

    /// Copies the rows of the given positions, runs of neighbours at once.
    fn gather(&self, target: &mut Block, head: usize, positions: &[u32]) {
        let mut blocks = self.blocks.iter();
        let mut rows = positions
            .iter()
            .filter_map(|position| self.row(head, *position))
            .peekable();
        let (mut start, mut to) = (0, 0);
        let Some(mut current) = blocks.next() else {
            return;
        };
        while let Some(row) = rows.next() {
            while row >= start + current.1[head] {
                start += current.1[head];
                let Some(next) = blocks.next() else { return };
                current = next;
            }
            let end = start + current.1[head];
            let mut count = 1;
            while row + count < end && rows.next_if_eq(&(row + count)).is_some() {
                count += 1;
            }
            target.copy(head, to, &current.0, row - start, count);
            to += count;
        }
    }

    /// `len` is not below `compressed`.
    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.logical {
            return;
        }
        self.logical = len;
        for head in 0..self.kept.len() {
            let mut left = self.physical_len(head);
            for (_, filled) in &mut self.blocks {
                filled[head] = filled[head].min(left);
                left -= filled[head];
            }
        }
        self.blocks
            .retain(|(_, filled)| filled.iter().any(|rows| *rows > 0));
    }
}

/// Rows that fit into the fullest head of a block.
fn room_of(block: &Block, filled: &[usize]) -> usize {
    filled
        .iter()
        .enumerate()
        .map(|(head, rows)| block.capacity(head) - rows)
        .min()
        .unwrap_or(0)
}
