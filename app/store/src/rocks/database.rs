//! RocksDB as this store uses it: four column families, typed reads, and one way to write.

use std::path::Path;

use bytes::Bytes;
use kernel::{Fatal, Space};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRawIterator,
    DBRecoveryMode, Options as DbOptions, ReadOptions, WriteBatch, WriteOptions,
};

use super::{layout, logs};
use crate::history::{Found, Row};

/// The open database.
pub(super) struct Database {
    db: DB,
    sync: bool,
}

/// A write buffer a family: a full block of 10,000 changes is about 2 MB, so a buffer is flushed every thirty of
/// them.
const WRITE_BUFFER_BYTES: usize = 64 << 20;
/// Log files up to this size are replayed at a start, about a second's work.
const LOG_BYTES_MAX: u64 = 128 << 20;
/// Of RocksDB's own log, and how many of them are kept: a node that runs for a year must not fill the disk with it.
const OWN_LOG_BYTES_MAX: usize = 16 << 20;
const OWN_LOGS_MAX: usize = 4;
/// Files that are open at once; far below the usual limit of 1,024 descriptors of a process that also serves clients.
const OPEN_FILES_MAX: i32 = 512;
/// Bloom filters of 10 bits a key let a read of an absent key miss a file with 99 % certainty.
const BLOOM_BITS: f64 = 10.0;
/// Of the write buffer: 1.3 MB for up to half a million rows, 20 bits each.
const MEMTABLE_BLOOM_RATIO: f64 = 0.02;
/// A batch is sorted in each family, so the place of a key in the memtable is near that of the one before: the search for
/// it begins there. RocksDB remembers a place for each first byte. This takes a tenth off the time of a bid.
const SORTED_WRITES: &str = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.1";
/// Blocks of 8 kB: half the index of the default 4 kB, and still one read of the disk.
const BLOCK_BYTES: usize = 8 << 10;
/// A file with so many tombstones among so many keys in a row is compacted although its level has room: a scan steps over what
/// was removed at its head, and nobody pays for it.
const TOMBSTONES_WINDOW_KEYS: usize = 16 << 10;
const TOMBSTONES_MAX: usize = 8 << 10;
/// Of undo every row is deleted one day, so that half of a usual file is tombstones.
const UNDO_TOMBSTONES_MAX: usize = 12 << 10;

impl Database {
    pub(super) fn open(path: &Path, cache_bytes: usize, sync: bool) -> Result<Self, Fatal> {
        logs::check(path)?;
        let mut options = common_options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        // Flushes and compactions of a chain are modest; more threads would take cores from execution.
        options.set_max_background_jobs(2);
        // A torn tail of the log is what a crash leaves; everything before it was whole.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        // One cache for all families, indexes and filters in it, so that memory has one bound.
        let cache = Cache::new_lru_cache(cache_bytes);
        let families = families(&cache)?;
        let db = DB::open_cf_descriptors(&options, path, families).map_err(failed)?;
        Ok(Self { db, sync })
    }

    /// Opens what is there; nothing can be written to it.
    pub(super) fn open_read_only(path: &Path, cache_bytes: usize) -> Result<Self, Fatal> {
        logs::check(path)?;
        let options = common_options();
        let cache = Cache::new_lru_cache(cache_bytes);
        let families = families(&cache)?;
        // The log of writes may hold what no file has yet: it is read, not replayed to disk.
        let db = DB::open_cf_descriptors_read_only(&options, path, families, false).map_err(failed)?;
        Ok(Self { db, sync: false })
    }

    pub(super) fn family(&self, name: &'static str) -> Result<&ColumnFamily, Fatal> {
        self.db.cf_handle(name).ok_or_else(|| Fatal::Storage(format!("column family {name} is missing")))
    }

    pub(super) fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fatal> {
        self.db.get_cf(self.family(layout::META)?, key).map_err(failed)
    }

    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        let family = self.family(layout::family(space))?;
        let value = self.db.get_cf(family, layout::record(space, key)).map_err(failed)?;
        Ok(value.map(Bytes::from))
    }

    /// The undo entry that the block of `height` left for a key.
    pub(super) fn undo(&self, space: Space, key: &[u8], height: u64) -> Result<Option<Bytes>, Fatal> {
        let entry = layout::undo(space, key, height);
        let value = self.db.get_cf(self.family(layout::UNDO)?, &entry).map_err(failed)?;
        value.as_deref().and_then(layout::decode_old).ok_or_else(|| malformed(layout::UNDO, &entry))
    }

    /// The first undo entry of a key above `height`.
    pub(super) fn undo_above(
        &self,
        space: Space,
        key: &[u8],
        height: u64,
    ) -> Result<Option<Option<Bytes>>, Fatal> {
        let from = layout::undo(space, key, height.saturating_add(1));
        let end = layout::undo(space, key, u64::MAX);
        let mut rows = self.rows(layout::UNDO, from, Some(end))?;
        let decode =
            |entry: &[u8], old: &[u8]| layout::decode_old(old).ok_or_else(|| malformed(layout::UNDO, entry));
        rows.next_with(decode).transpose()
    }

    /// The records of a range, in order.
    pub(super) fn records(
        &self,
        space: Space,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<Row, Fatal>>, Fatal> {
        let end = end.map(|end| layout::record(space, end)).or_else(|| layout::record_end(space));
        let mut rows = self.rows(layout::family(space), layout::record(space, start), end)?;
        Ok(std::iter::from_fn(move || {
            rows.next_with(|key, value| {
                let key = key.get(1..).unwrap_or_default();
                Ok((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
            })
        }))
    }

    /// Finds a range's first undo entry at or behind a key and a height.
    pub(super) fn undos(
        &self,
        space: Space,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<impl FnMut(&[u8], u64) -> Found, Fatal> {
        let end = end.map_or_else(|| layout::undo_end(space), |end| layout::undo_from(space, end));
        let mut rows = self.rows(layout::UNDO, layout::undo_from(space, start), Some(end))?;
        Ok(move |key: &[u8], height| {
            rows.seek(&layout::undo(space, key, height));
            let undo = rows.next_with(|entry, old| {
                let decoded = layout::decode_undo(entry).zip(layout::decode_old(old));
                let ((key, height), old) = decoded.ok_or_else(|| malformed(layout::UNDO, entry))?;
                Ok((key, height, old))
            });
            undo.transpose()
        })
    }

    /// The rows of a family from `start` to `end`.
    pub(super) fn rows(
        &self,
        family: &'static str,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
    ) -> Result<Rows<'_>, Fatal> {
        let mut options = ReadOptions::default();
        if let Some(end) = end {
            if end <= start {
                return Ok(Rows { iterator: None });
            }
            options.set_iterate_upper_bound(end);
        }
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        iterator.seek(start);
        Ok(Rows { iterator: Some(iterator) })
    }

    /// Writes a commit: synced before it returns, unless the options say otherwise.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), Fatal> {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        self.db.write_opt(batch, &options).map_err(failed)
    }

    /// Writes what a crash may lose.
    pub(super) fn write_unsynced(&self, batch: WriteBatch) -> Result<(), Fatal> {
        self.db.write(batch).map_err(failed)
    }

    /// RocksDB's own estimate of the number of keys in a family.
    pub(super) fn keys_estimated(&self, family: &'static str) -> Result<u64, Fatal> {
        let count = self.db.property_int_value_cf(self.family(family)?, "rocksdb.estimate-num-keys");
        Ok(count.map_err(failed)?.unwrap_or(0))
    }

    pub(super) fn path(&self) -> &Path {
        self.db.path()
    }
}

/// The rows of one family, one after another.
pub(super) struct Rows<'a> {
    iterator: Option<DBRawIterator<'a>>,
}

impl Rows<'_> {
    /// Goes on at the first row that is not before `key`.
    fn seek(&mut self, key: &[u8]) {
        if let Some(iterator) = &mut self.iterator {
            iterator.seek(key);
        }
    }

    /// Reads the next row's key and value through `decode`.
    pub(super) fn next_with<T>(
        &mut self,
        decode: impl FnOnce(&[u8], &[u8]) -> Result<T, Fatal>,
    ) -> Option<Result<T, Fatal>> {
        let iterator = self.iterator.as_mut()?;
        let Some((key, value)) = iterator.item() else {
            return iterator.status().err().map(|error| Err(failed(error)));
        };
        let row = decode(key, value);
        iterator.next();
        Some(row)
    }
}

/// What a home is opened with whether it is written to or not: a reader writes RocksDB's own log as well.
fn common_options() -> DbOptions {
    let mut options = DbOptions::default();
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_log_file_size(OWN_LOG_BYTES_MAX);
    options.set_keep_log_file_num(OWN_LOGS_MAX);
    options
}

fn families(cache: &Cache) -> Result<Vec<ColumnFamilyDescriptor>, Fatal> {
    let family = |name: &'static str| Ok(ColumnFamilyDescriptor::new(name, family_options(name, cache)?));
    layout::FAMILIES.into_iter().map(family).collect()
}

fn family_options(name: &str, cache: &Cache) -> Result<DbOptions, Fatal> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Undo is read in order, and meta is small.
    if name == layout::STATE || name == layout::DERIVED {
        blocks.set_bloom_filter(BLOOM_BITS, false);
    }
    let mut options = DbOptions::default().get_options_from_string(SORTED_WRITES).map_err(failed)?;
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    if name == layout::STATE || name == layout::DERIVED {
        // What is in no memtable, such as a bid that is not there yet, is not searched for in its list.
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO);
        options.set_memtable_whole_key_filtering(true);
    }
    let tombstones = match name {
        layout::STATE | layout::DERIVED => Some(TOMBSTONES_MAX),
        layout::UNDO => Some(UNDO_TOMBSTONES_MAX),
        _ => None,
    };
    if let Some(tombstones) = tombstones {
        // A share of the whole file says nothing of runs, and 0 switches that off.
        options.add_compact_on_deletion_collector_factory(TOMBSTONES_WINDOW_KEYS, tombstones, 0.0);
    }
    // Records are short and alike: lz4 halves them and costs reads nothing that shows.
    options.set_compression_type(DBCompressionType::Lz4);
    Ok(options)
}

pub(super) fn failed(error: rocksdb::Error) -> Fatal {
    Fatal::Storage(error.into_string())
}

pub(super) fn malformed(family: &str, key: &[u8]) -> Fatal {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Fatal::Storage(format!("malformed row in {family}: key {key}"))
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    /// A queue of which a part was drained, in files of their own: nothing else would compact so few.
    #[test]
    fn a_run_of_tombstones_is_compacted_away() {
        let home = tempfile::tempdir().unwrap();
        let number = |number: u32| [[7].as_slice(), &number.to_be_bytes()].concat();
        let write = |family: &'static str, numbers: std::ops::Range<u32>, is_put: bool| {
            let database = Database::open(home.path(), 1 << 20, false).unwrap();
            let mut batch = WriteBatch::default();
            let family = database.family(family).unwrap();
            for key in numbers.map(number) {
                if is_put { batch.put_cf(family, key, b"x") } else { batch.delete_cf(family, key) }
            }
            database.write(batch).unwrap();
        };
        let drained = [layout::STATE, layout::DERIVED, layout::UNDO];
        for family in drained {
            write(family, 0..40_000, true);
        }
        for family in drained {
            write(family, 0..30_000, false);
        }
        let database = Database::open(home.path(), 1 << 20, false).unwrap();
        let tombstones =
            || -> u64 { database.db.live_files().unwrap().iter().map(|file| file.num_deletions).sum() };
        // RocksDB compacts in the background; it is given the time that it takes.
        for _ in 0..3_000 {
            if tombstones() == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(tombstones(), 0);
        for family in drained {
            let mut rows = database.rows(family, vec![7], None).unwrap();
            let first = rows.next_with(|key, _| Ok(key.to_vec())).unwrap().unwrap();
            assert_eq!(first, number(30_000));
        }
    }
}
