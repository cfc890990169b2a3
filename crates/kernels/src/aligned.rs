//! Working memory that starts at a cache line.

/// A buffer of zeros that starts at a cache line, so that loads of whole vectors never touch two lines.
pub(crate) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    const LINE: usize = 64;

    /// `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        let spare = Self::LINE / size_of::<T>();
        let memory = vec![T::default(); len + spare];
        Self {
            start: memory.as_ptr().align_offset(Self::LINE).min(spare),
            memory,
            len,
        }
    }
}

impl<T> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl<T> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.len]
    }
}
