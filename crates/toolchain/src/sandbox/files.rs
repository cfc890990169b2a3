//! Standard input, output and error of a job: files in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Bytes for a job's standard input: sealed, so that no job can change them for the next. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SealedInput {
    file: Arc<File>,
    length: usize,
}

impl SealedInput {
    /// Copies the bytes into a file in memory and seals it.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let mut file = memory_file(true)?;
        file.write_all(bytes)?;
        let seals = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(SealedInput {
            file: Arc::new(file),
            length: bytes.len(),
        })
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of the bytes.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.length);
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens the bytes for reading from the start, with an offset of its own.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// A file in memory. Never mapped by us, so that whoever truncates it cannot hurt.
pub(super) fn memory_file(sealable: bool) -> io::Result<File> {
    // From include/uapi/linux/memfd.h, Linux 6.3 and later: the file can never be executed. It implies sealing.
    const MFD_NOEXEC_SEAL: MFdFlags = MFdFlags::from_bits_retain(8);
    let flags = MFdFlags::MFD_CLOEXEC;
    let descriptor: OwnedFd = match memfd_create(c"job", flags | MFD_NOEXEC_SEAL) {
        Err(Errno::EINVAL) if sealable => {
            memfd_create(c"job", flags | MFdFlags::MFD_ALLOW_SEALING)?
        }
        Err(Errno::EINVAL) => memfd_create(c"job", flags)?,
        other => other?,
    };
    if !sealable {
        // A job that sealed its output against writing would only hurt itself; but nobody needs it.
        let _ = fcntl(&descriptor, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SEAL));
    }
    Ok(descriptor.into())
}

/// What a job wrote, up to `limit` bytes, and whether it was more. Call it when no process of the job lives any more.
pub(super) fn read_output(file: &mut File, limit: u64) -> io::Result<(Vec<u8>, bool)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(length.min(limit) as usize);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok((bytes, length > limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_input_cannot_be_changed() {
        let input = SealedInput::new(b"abc").unwrap();
        assert_eq!(input.len(), 3);
        assert!((&*input.file).write_all(b"x").is_err());
        assert!(input.file.set_len(0).is_err());
        let path = format!("/proc/self/fd/{}", input.file.as_raw_fd());
        let reopened = File::options().write(true).open(path);
        assert!(reopened.and_then(|mut file| file.write_all(b"x")).is_err());
        assert_eq!(input.bytes().unwrap(), b"abc");
        assert_eq!(input.bytes().unwrap(), b"abc");
    }

    #[test]
    fn output_beyond_the_limit_is_cut_and_said() {
        let mut file = memory_file(false).unwrap();
        file.write_all(b"0123456789").unwrap();
        assert_eq!(
            read_output(&mut file, 10).unwrap(),
            (b"0123456789".to_vec(), false)
        );
        assert_eq!(read_output(&mut file, 4).unwrap(), (b"0123".to_vec(), true));
    }
}
