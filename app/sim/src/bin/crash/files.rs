//! The system calls by which RocksDB changes its files, taken over at link time, so that faults strike below the real
//! database. Without a plan every call passes. Only this program links them.
#![allow(unsafe_code, reason = "taking over system calls is what this file is for")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString, c_char, c_int, c_long, c_void},
    fs,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::plan::{Effect, Fault, Kind, Phase, Place};

/// The line by which a process tells that an error was made for it: it may go on after one.
pub const TOLD: &str = "told";
/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

static LAYER: OnceLock<Mutex<Layer>> = OnceLock::new();
static PHASE: AtomicU8 = AtomicU8::new(0);

/// The faults of this process, and what it knows of the disk.
struct Layer {
    home: PathBuf,
    fault: Fault,
    /// How often the fault's place was met.
    met: u64,
    files: BTreeMap<PathBuf, Tracked>,
    /// Renames that the directory's sync has not made durable, with what the name held before.
    renames: Vec<(PathBuf, Option<Vec<u8>>)>,
    is_full: bool,
    /// Syncs until the power is cut, once they lie.
    lies_left: Option<u32>,
    random: StdRng,
}

/// What of a file would outlive a power cut.
struct Tracked {
    inode: u64,
    synced: u64,
    /// Its name is durable.
    is_linked: bool,
}

/// Puts a fault below the files of a home.
pub fn install(home: &Path, fault: Fault) {
    let layer = Layer {
        home: home.canonicalize().unwrap(),
        fault,
        met: 0,
        files: BTreeMap::new(),
        renames: Vec::new(),
        is_full: false,
        lies_left: None,
        random: StdRng::seed_from_u64(fault.seed),
    };
    assert!(LAYER.set(Mutex::new(layer)).is_ok(), "one fault a process");
}

/// Says what the process does from now on.
pub fn enter(phase: Phase) {
    PHASE.store(phase as u8, Ordering::SeqCst);
}

/// A place in the program that is no system call.
pub fn reach(place: Place) {
    if let Some(mut layer) = lock() {
        match layer.meets(place, Kind::Other) {
            Some(Effect::CutBefore | Effect::CutAfter) => layer.cut_power(),
            Some(_) => die(),
            None => {}
        }
    }
}

fn lock() -> Option<MutexGuard<'static, Layer>> {
    LAYER.get().map(|layer| layer.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The layer, if this file is below the home; its path and kind.
fn file_of(fd: c_int) -> Option<(MutexGuard<'static, Layer>, PathBuf, Kind)> {
    let layer = lock()?;
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let kind = kind_of(&layer, &path)?;
    Some((layer, path, kind))
}

fn named(path: *const c_char) -> Option<(MutexGuard<'static, Layer>, PathBuf, Kind)> {
    let layer = lock()?;
    // SAFETY: the caller of the system call gives a string that ends with a zero.
    let path = PathBuf::from(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let kind = kind_of(&layer, &path)?;
    Some((layer, path, kind))
}

fn kind_of(layer: &Layer, path: &Path) -> Option<Kind> {
    if path == layer.home {
        return Some(Kind::Directory);
    }
    path.starts_with(&layer.home)
        .then(|| Kind::of(path.file_name().and_then(|name| name.to_str()).unwrap_or("")))
}

impl Layer {
    /// Counts a call; the effect, if it is the one.
    fn meets(&mut self, place: Place, kind: Kind) -> Option<Effect> {
        let fault = self.fault;
        let is_there = fault.place == place
            && fault.kind.is_none_or(|wanted| wanted == kind)
            && fault.phase.is_none_or(|phase| phase as u8 == PHASE.load(Ordering::SeqCst))
            && (!fault.pruner || std::thread::current().name() == Some("store-prune"));
        self.met += u64::from(is_there);
        let effect = (is_there && self.met == fault.at).then_some(fault.effect);
        if effect.is_some_and(Effect::is_an_error) {
            let line = format!("{TOLD}\n");
            raw_write(libc::STDOUT_FILENO, line.as_ptr().cast(), line.len());
        }
        effect
    }

    /// Remembers a file as it is before it is first written here.
    fn track(&mut self, path: &Path) {
        let Ok(metadata) = fs::metadata(path) else { return };
        let (inode, length) = (metadata.ino(), metadata.len());
        let tracked = self.files.entry(path.to_owned()).or_insert(Tracked {
            inode,
            synced: length,
            is_linked: length > 0,
        });
        if tracked.inode != inode {
            *tracked = Tracked { inode, synced: length, is_linked: false };
        }
    }

    /// What is synced now would outlive a power cut.
    fn synced(&mut self, path: &Path, kind: Kind) {
        if kind == Kind::Directory {
            self.renames.clear();
            self.files.values_mut().for_each(|file| file.is_linked = true);
        } else if let (Some(file), Ok(metadata)) = (self.files.get_mut(path), fs::metadata(path)) {
            file.synced = metadata.len();
        }
    }

    /// Leaves on the disk what a power cut leaves, and ends the process.
    fn cut_power(&mut self) -> ! {
        for (name, before) in std::mem::take(&mut self.renames) {
            if self.random.random_bool(0.5) {
                raw_unlink(&name);
                if let Some(bytes) = before {
                    fs::File::create(&name).unwrap().write_all_at(&bytes, 0).unwrap();
                }
            }
        }
        for (path, file) in std::mem::take(&mut self.files) {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.ino() == file.inode => self.cut_file(&path, &file, metadata.len()),
                _ => {}
            }
        }
        die()
    }

    /// The bytes after the last sync are gone, or some sectors of them, or they are zeros in places.
    fn cut_file(&mut self, path: &Path, file: &Tracked, length: u64) {
        if !file.is_linked && file.synced == 0 && self.random.random_bool(0.5) {
            return raw_unlink(path);
        }
        if length <= file.synced {
            return;
        }
        let disk = fs::OpenOptions::new().write(true).open(path).unwrap();
        let sectors = (length - file.synced).div_ceil(SECTOR);
        match self.random.random_range(0..3) {
            0 => disk.set_len(file.synced).unwrap(),
            1 => {
                let whole = (file.synced / SECTOR + self.random.random_range(0..=sectors)) * SECTOR;
                disk.set_len(whole.clamp(file.synced, length)).unwrap();
            }
            _ => {
                for sector in 0..sectors {
                    if self.random.random_bool(0.5) {
                        let at = file.synced + sector * SECTOR;
                        let zeros = vec![0; usize::try_from(SECTOR.min(length - at)).unwrap()];
                        disk.write_all_at(&zeros, at).unwrap();
                    }
                }
            }
        }
    }

    /// What of a write is made on a disk that is full, or by a process that is killed in the middle of it.
    fn part(&mut self, count: usize) -> usize {
        let sectors = count / usize::try_from(SECTOR).unwrap();
        self.random.random_range(0..=sectors) * usize::try_from(SECTOR).unwrap()
    }
}

/// Deletes a file, past the call that is taken over: the layer is locked.
fn raw_unlink(path: &Path) {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the string ends with a zero.
    unsafe { libc::syscall(libc::SYS_unlink, path.as_ptr()) };
}

/// Ends the process as the kernel would: nothing is flushed, no destructor runs.
fn die() -> ! {
    // SAFETY: a signal to this process itself.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    loop {
        std::thread::park();
    }
}

fn fails(errno: c_int) -> c_int {
    // SAFETY: errno of this thread.
    unsafe { *libc::__errno_location() = errno };
    -1
}

fn raw_write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    // SAFETY: the arguments of the caller.
    let written: c_long = unsafe { libc::syscall(libc::SYS_write, fd, bytes, count) };
    isize::try_from(written).unwrap_or(-1)
}

fn raw_sync(call: c_long, fd: c_int) -> c_int {
    // SAFETY: the arguments of the caller.
    let result: c_long = unsafe { libc::syscall(call, fd) };
    c_int::try_from(result).unwrap_or(-1)
}

/// write(2)
#[unsafe(no_mangle)]
extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    let Some((mut layer, path, kind)) = file_of(fd) else { return raw_write(fd, bytes, count) };
    layer.track(&path);
    if layer.is_full {
        return fails(libc::ENOSPC) as isize;
    }
    match layer.meets(Place::Write, kind) {
        None => raw_write(fd, bytes, count),
        Some(Effect::KillBefore) => die(),
        Some(Effect::CutBefore) => layer.cut_power(),
        Some(Effect::Tear) => {
            raw_write(fd, bytes, layer.part(count));
            die()
        }
        Some(Effect::KillAfter) => {
            raw_write(fd, bytes, count);
            die()
        }
        Some(Effect::CutAfter) => {
            raw_write(fd, bytes, count);
            layer.cut_power()
        }
        Some(Effect::Full) => {
            layer.is_full = true;
            match layer.part(count) {
                0 => fails(libc::ENOSPC) as isize,
                part => raw_write(fd, bytes, part),
            }
        }
        Some(Effect::Fail | Effect::Flip | Effect::Lie) => fails(libc::EIO) as isize,
    }
}

fn sync(call: c_long, fd: c_int) -> c_int {
    let Some((mut layer, path, kind)) = file_of(fd) else { return raw_sync(call, fd) };
    if let Some(left) = layer.lies_left {
        if left == 0 {
            layer.cut_power();
        }
        layer.lies_left = Some(left - 1);
        return 0;
    }
    match layer.meets(Place::Sync, kind) {
        None => {
            let result = raw_sync(call, fd);
            layer.synced(&path, kind);
            result
        }
        Some(Effect::KillBefore) => die(),
        Some(Effect::CutBefore) => layer.cut_power(),
        Some(Effect::Lie) => {
            layer.lies_left = Some(layer.random.random_range(0..6));
            0
        }
        Some(Effect::KillAfter) => {
            raw_sync(call, fd);
            die()
        }
        Some(Effect::CutAfter) => {
            raw_sync(call, fd);
            layer.synced(&path, kind);
            layer.cut_power()
        }
        Some(Effect::Full) => {
            layer.is_full = true;
            fails(libc::ENOSPC)
        }
        Some(_) => fails(libc::EIO),
    }
}

/// fdatasync(2)
#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(libc::SYS_fdatasync, fd)
}

/// fsync(2)
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    sync(libc::SYS_fsync, fd)
}

/// rename(2)
#[unsafe(no_mangle)]
extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the arguments of the caller.
    let raw = || c_int::try_from(unsafe { libc::syscall(libc::SYS_rename, from, to) }).unwrap_or(-1);
    let Some((mut layer, to, kind)) = named(to) else { return raw() };
    let effect = layer.meets(Place::Rename, kind);
    match effect {
        Some(Effect::KillBefore) => die(),
        Some(Effect::CutBefore) => layer.cut_power(),
        Some(Effect::Fail) => return fails(libc::EIO),
        _ => {}
    }
    layer.renames.push((to.clone(), fs::read(&to).ok()));
    let result = raw();
    // The name is another file's now, whose bytes were synced or not before.
    layer.files.remove(&to);
    match effect {
        Some(Effect::CutAfter) => layer.cut_power(),
        Some(_) => die(),
        None => result,
    }
}

/// unlink(2)
#[unsafe(no_mangle)]
extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the arguments of the caller.
    let raw = || c_int::try_from(unsafe { libc::syscall(libc::SYS_unlink, path) }).unwrap_or(-1);
    let Some((mut layer, _, kind)) = named(path) else { return raw() };
    match layer.meets(Place::Unlink, kind) {
        None => raw(),
        Some(Effect::CutBefore | Effect::CutAfter) => layer.cut_power(),
        Some(Effect::Fail) => fails(libc::EIO),
        Some(_) => die(),
    }
}

/// pread(2)
#[unsafe(no_mangle)]
extern "C" fn pread(fd: c_int, bytes: *mut c_void, count: usize, at: i64) -> isize {
    let raw = || {
        // SAFETY: the arguments of the caller.
        isize::try_from(unsafe { libc::syscall(libc::SYS_pread64, fd, bytes, count, at) }).unwrap_or(-1)
    };
    let Some((mut layer, _, kind)) = file_of(fd) else { return raw() };
    match layer.meets(Place::Read, kind) {
        None => raw(),
        Some(Effect::Fail) => fails(libc::EIO) as isize,
        Some(Effect::Flip) => {
            let read = raw();
            if let Ok(length @ 1..) = usize::try_from(read) {
                let bit = layer.random.random_range(0..length * 8);
                // SAFETY: the call has filled this many bytes of the caller's buffer.
                unsafe { *bytes.cast::<u8>().add(bit / 8) ^= 1 << (bit % 8) };
            }
            read
        }
        Some(Effect::CutBefore | Effect::CutAfter) => layer.cut_power(),
        Some(_) => die(),
    }
}
