//! Memory straight from the system: files mapped read-only, and anonymous memory that goes back when it is dropped.

use std::fs::File;
use std::path::Path;

use crate::KernelError;

/// Memory is given back in multiples of this many bytes.
#[cfg(target_os = "linux")]
const SYSTEM_PAGE: usize = 1 << 16;

/// A file mapped read-only.
///
/// The file must not be changed or truncated while it is mapped; that is the usual contract of mapped checkpoints.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<memmap2::Mmap>,
}

impl MappedFile {
    /// Maps the whole file. An empty file gives an empty slice.
    pub fn open(path: &Path) -> Result<Self, KernelError> {
        let failed = |source| KernelError::MapFile {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(std::io::Error::other("not a regular file")));
        }
        if metadata.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the mapping is private and read-only. That nobody truncates the file while it is mapped is the
        // caller's part, as documented on the type; the bytes have no validity requirement (plain u8).
        let map =
            unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }.map_err(failed)?;
        Ok(Self { map: Some(map) })
    }

    /// Says that some of the bytes will not be read soon: what they take of this process's memory is given back. They
    /// can still be read, from the file.
    pub fn release(&self, bytes: std::ops::Range<usize>) {
        #[cfg(target_os = "linux")]
        if let Some(map) = &self.map {
            // Whole pages only: their neighbours may be in use.
            let start = bytes.start.next_multiple_of(SYSTEM_PAGE);
            let end = bytes.end.min(map.len()) / SYSTEM_PAGE * SYSTEM_PAGE;
            if start < end {
                // SAFETY: the mapping is read-only and never written, so that pages read again hold the same bytes.
                let advised = unsafe {
                    map.unchecked_advise_range(
                        memmap2::UncheckedAdvice::DontNeed,
                        start,
                        end - start,
                    )
                };
                // A refusal costs memory only.
                let _ = advised;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

impl std::ops::Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

/// Bytes of a huge page on most systems.
const HUGE_PAGE: usize = 2 << 20;

/// Zeroed memory of its own mapping, aligned to a page.
///
/// Pages become resident when they are first written, and all of them go back to the system on drop, which memory from
/// the general allocator does not promise.
#[derive(Debug, Default)]
pub struct AnonymousMap {
    map: Option<memmap2::MmapMut>,
    /// Bytes of the mapping that lie in front.
    front: usize,
    len: usize,
}

impl AnonymousMap {
    /// `bytes` zeroed bytes.
    pub fn new(bytes: usize) -> Result<Self, KernelError> {
        if bytes == 0 {
            return Ok(Self::default());
        }
        let map = memmap2::MmapMut::map_anon(bytes)
            .map_err(|source| KernelError::MapMemory { bytes, source })?;
        Ok(Self {
            map: Some(map),
            front: 0,
            len: bytes,
        })
    }

    /// `bytes` zeroed bytes for data that is read over and over: large ones in huge pages where the system has them, as
    /// otherwise looking up addresses limits the speed of reading.
    pub fn huge(bytes: usize) -> Result<Self, KernelError> {
        if bytes < HUGE_PAGE {
            return Self::new(bytes);
        }
        // Only whole huge pages at their own alignment count; the rest of the mapping is never touched.
        let mut map = Self::new(bytes.saturating_add(HUGE_PAGE))?;
        map.front = map.bytes().as_ptr().align_offset(HUGE_PAGE).min(HUGE_PAGE);
        map.len = bytes;
        #[cfg(target_os = "linux")]
        if let Some(map) = &map.map {
            // A refusal costs speed only.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(map)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        let map = self.map.as_deref().unwrap_or(&[]);
        &map[self.front..self.front + self.len]
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let map = self.map.as_deref_mut().unwrap_or(&mut []);
        &mut map[self.front..self.front + self.len]
    }

    /// The memory as elements of a plain type (f32, f16, bf16, ...); a remainder too small for one is left out.
    pub fn elements<T: bytemuck::Pod>(&self) -> &[T] {
        let bytes = self.bytes();
        let len = bytes.len() - bytes.len() % size_of::<T>();
        if len == 0 {
            return &[]; // no bytes have no alignment either
        }
        bytemuck::cast_slice(&bytes[..len])
    }

    /// The memory as elements of a plain type, to be written.
    pub fn elements_mut<T: bytemuck::Pod>(&mut self) -> &mut [T] {
        let bytes = self.bytes_mut();
        let len = bytes.len() - bytes.len() % size_of::<T>();
        if len == 0 {
            return &mut [];
        }
        bytemuck::cast_slice_mut(&mut bytes[..len])
    }
}

impl std::ops::Deref for AnonymousMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl std::ops::DerefMut for AnonymousMap {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_mapped_and_errors_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().bytes(), b"abc");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(MappedFile::open(&path).unwrap().bytes(), b"");
        let missing = dir.path().join("missing");
        let message = MappedFile::open(&missing).unwrap_err().to_string();
        assert!(message.contains("missing"), "{message}");
        assert!(MappedFile::open(dir.path()).is_err());
    }

    #[test]
    fn anonymous_memory_is_zeroed_and_typed() {
        let mut map = AnonymousMap::new(10).unwrap();
        assert_eq!(map.bytes(), [0; 10]);
        map.elements_mut::<f32>().copy_from_slice(&[1.0, 2.0]);
        assert_eq!(map.elements::<f32>(), [1.0, 2.0]);
        let mut empty = AnonymousMap::new(0).unwrap();
        assert_eq!(empty.bytes(), b"");
        assert!(empty.elements::<f32>().is_empty() && empty.elements_mut::<f32>().is_empty());
        assert!(AnonymousMap::new(usize::MAX / 2).is_err());
    }

    #[test]
    fn memory_for_huge_pages_is_aligned_and_zeroed() {
        for bytes in [1, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE + 5] {
            let mut map = AnonymousMap::huge(bytes).unwrap();
            assert_eq!(map.bytes().len(), bytes);
            assert!(map.bytes().iter().all(|byte| *byte == 0));
            map.bytes_mut().fill(1);
            if bytes >= HUGE_PAGE {
                assert_eq!(map.bytes().as_ptr().align_offset(HUGE_PAGE), 0);
            }
        }
        assert!(AnonymousMap::huge(usize::MAX).is_err());
    }

    #[test]
    fn released_bytes_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = MappedFile::open(&path).unwrap();
        for range in [0..0, 0..content.len(), 5..200_000, 0..usize::MAX] {
            file.release(range);
            assert_eq!(file.bytes(), content);
        }
    }

    /// Resident bytes of this process.
    #[cfg(target_os = "linux")]
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn dropped_memory_leaves_the_process() {
        const BYTES: usize = 256 << 20;
        let before = resident();
        let mut map = AnonymousMap::new(BYTES).unwrap();
        map.fill(1);
        assert!(resident() > before + BYTES / 2);
        drop(map);
        assert!(resident() < before + BYTES / 2);
    }
}
