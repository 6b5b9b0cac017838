//! A real file system under the store: a small ext4 in an image. Its power is cut by copying the image while the node is
//! frozen, which leaves what the file system has given to its disk; and it runs full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    child::{How, Node},
    cycles::{KILLED_BY_NOBODY, Tally},
    examine::{Found, NO_ENTRIES, examine},
    history::History,
};

/// Megabytes of an image: the store, the file system's journal, and the room of 70 MB that RocksDB takes ahead for each of
/// two logs.
const IMAGE_MIB: u32 = 200;

/// A mounted image; it is unmounted when this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-o", "loop", text(image), text(at)]);
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[text(&self.0)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}; it needs the rights of root");
}

fn make(image: &Path) {
    run("truncate", &["-s", &format!("{IMAGE_MIB}M"), text(image)]);
    run("mkfs.ext4", &["-q", "-F", text(image)]);
}

/// Cuts the power `samples` times at random instants.
pub fn cut_power(history: &History, folder: &Path, samples: u32, seed: u64) -> Tally {
    let (mut tally, mut random) = (Tally::default(), StdRng::seed_from_u64(seed));
    let (image, copy) = (folder.join("image"), folder.join("copy.image"));
    while tally.cycles < samples {
        make(&image);
        let mounted = Mounted::new(&image, &folder.join("disk"));
        let home = mounted.0.join("home");
        fs::create_dir(&home).unwrap();
        // What the node is known to have committed, and what it may have: it was killed before it could say so.
        let (mut committed, mut begun) = (0, 0);
        // A home is used until its history ends.
        while tally.cycles < samples && committed + 2 < history.last() {
            let node = Node::start(folder, &home, None, history.last());
            let ended = node.frozen_after(random.random_range(5..300), || {
                fs::copy(&image, &copy).unwrap();
            });
            tally.cycles += 1;
            begun = ended.begun.max(begun);
            committed = ended.committed.max(committed);
            if let How::Stopped(reason) | How::Wrong(reason) = ended.how {
                tally.violations.push(reason);
            }
            let restored = Mounted::new(&copy, &folder.join("restored"));
            let examined = examine(&restored.0.join("home"), history);
            drop(restored);
            match examined {
                Ok(Ok(Found { has_entries: false, .. })) => tally.violations.push(NO_ENTRIES.into()),
                Ok(Ok(Found { height, .. })) if height >= committed && height <= begun => {
                    tally.recovered += 1;
                }
                Ok(Ok(Found { height, .. })) => {
                    tally.violations.push(format!("height {height}: committed {committed}, begun {begun}"));
                }
                Ok(Err(reason)) => tally.violations.push(format!("refused: {reason}")),
                Err(wrong) => tally.violations.push(wrong),
            }
        }
    }
    tally
}

/// Lets the file system run full `samples` times, and makes room again.
pub fn fill(history: &History, folder: &Path, samples: u32, seed: u64) -> Tally {
    let (mut tally, mut random) = (Tally::default(), StdRng::seed_from_u64(seed));
    let image = folder.join("image");
    for _ in 0..samples {
        tally.cycles += 1;
        make(&image);
        let mounted = Mounted::new(&image, &folder.join("disk"));
        let (home, ballast) = (mounted.0.join("home"), mounted.0.join("ballast"));
        fs::create_dir(&home).unwrap();
        let first = Node::start(folder, &home, None, random.random_range(2..20)).finished();
        let free = random.random_range(1..300);
        // All that is free but some blocks of 4 kB; the last writes of it fail, as they should.
        let script = format!(
            "dd if=/dev/zero of={0} bs=4k 2>/dev/null; truncate -s -{1}k {0}; sync",
            text(&ballast),
            free * 4
        );
        run("sh", &["-c", &script]);
        let full = Node::start(folder, &home, None, history.last()).finished();
        match &full.how {
            How::Stopped(reason) if reason.contains("No space left") => tally.reason(reason).unwrap(),
            How::Finished => tally.missed += 1,
            How::Stopped(reason) | How::Wrong(reason) => tally.violations.push(reason.clone()),
            How::Killed => tally.violations.push(KILLED_BY_NOBODY.into()),
        }
        fs::remove_file(&ballast).unwrap();
        let committed = first.committed.max(full.committed);
        let after = Node::start(folder, &home, None, history.last()).finished();
        match (after.how, after.opened) {
            (How::Finished, Some(opened)) if opened >= committed => tally.recovered += 1,
            (How::Finished, opened) => {
                tally.violations.push(format!("opened at {opened:?}, committed {committed}"));
            }
            (How::Stopped(reason) | How::Wrong(reason), _) => tally.violations.push(reason),
            (How::Killed, _) => tally.violations.push(KILLED_BY_NOBODY.into()),
        }
    }
    if tally.missed == samples {
        tally.violations.push("the disk never ran full".into());
    }
    tally
}
