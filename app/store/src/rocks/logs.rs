//! The frames of logs and manifests, before RocksDB reads them.
//!
//! RocksDB's reader never returns from a record whose type says that its file is a recycled one, where the file is none
//! (facebook/rocksdb issue 13333); one flipped bit makes a usual record into that. As the first record of a log it has the whole
//! log ignored. This store recycles no files, so such a record is damage, and is named here.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use kernel::Fatal;

/// Records lie in blocks of this size: four bytes of checksum, two of length (little-endian), one of type, and the data.
const BLOCK_BYTES: u64 = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Zeros to the end of a block: the room that was allocated beyond the last record.
const EMPTY: u8 = 0;
/// The types of records in recycled files: whole, first, middle, last, widths of timestamps, the log before.
const RECYCLED: [u8; 6] = [5, 6, 7, 8, 11, 131];

/// Refuses a home with a file that would hold RocksDB for ever. It reads what RocksDB is about to read, at most the logs' bound.
pub(super) fn check(home: &Path) -> Result<(), Fatal> {
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| unreadable(home, &error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| unreadable(home, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("MANIFEST-") || path.extension().is_some_and(|extension| extension == "log") {
            check_file(&path)?;
        }
    }
    Ok(())
}

fn check_file(path: &Path) -> Result<(), Fatal> {
    let mut file = match File::open(path) {
        // A node that is running has deleted it meanwhile, and this is a reader.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(|error| unreadable(path, &error))?,
    };
    let (mut block, mut start) = (Vec::new(), 0_u64);
    loop {
        block.clear();
        let read = file.by_ref().take(BLOCK_BYTES).read_to_end(&mut block);
        if read.map_err(|error| unreadable(path, &error))? == 0 {
            return Ok(());
        }
        if let Some((offset, kind)) = recycled(&block) {
            let offset = start.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX));
            return Err(Fatal::Storage(format!(
                "{}: the record at byte {offset} has the type {kind}, which is for recycled files: the file is damaged",
                path.display()
            )));
        }
        start = start.saturating_add(BLOCK_BYTES);
    }
}

/// Where in a block the first record of a recycled file begins, and its type.
fn recycled(block: &[u8]) -> Option<(usize, u8)> {
    let mut offset = 0_usize;
    while let Some([_, _, _, _, low, high, kind]) =
        block.get(offset..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>()).copied()
    {
        let length = usize::from(u16::from_le_bytes([low, high]));
        match kind {
            EMPTY if length == 0 => return None,
            kind if RECYCLED.contains(&kind) => return Some((offset, kind)),
            _ => offset = offset.saturating_add(HEADER_BYTES).saturating_add(length),
        }
    }
    None
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fatal {
    Fatal::Storage(format!("{}: {error}", path.display()))
}
