//! A machine that has too little: R1.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bed::{Bed, HEAL_TIMEOUT, Options, wait_until};
use super::checks::Check;
use super::{Error, Played, conclude, failed};
use crate::net::{self, Injection, Node};

/// The signal by which the kernel ends what exceeds its group's memory.
const SIGKILL: i32 = 9;
/// What the application may have, in percent of what it takes without a limit. The last one is too little for any.
const LIMITS_PERCENT: [u64; 4] = [100, 70, 50, 30];
/// Where control groups are, of the second version and of the first one's memory part.
const HIERARCHIES: [(&str, &str, &str); 2] =
    [("/sys/fs/cgroup", "0::", "memory.max"), ("/sys/fs/cgroup/memory", "memory:", "memory.limit_in_bytes")];

/// A control group of our own, which is removed when this is dropped.
struct Group {
    dir: PathBuf,
    limit: &'static str,
}

impl Group {
    /// A group below that of this process, where the system lets us.
    fn new() -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        HIERARCHIES.into_iter().find_map(|(root, line, limit)| {
            let place = own.lines().find_map(|text| text.split_once(line).map(|(_, place)| place))?;
            let dir = Path::new(root)
                .join(place.trim_start_matches('/'))
                .join(format!("localnet-{}", std::process::id()));
            std::fs::create_dir(&dir).ok()?;
            let group = Self { dir, limit };
            group.dir.join(limit).exists().then_some(group)
        })
    }

    fn set_limit(&self, bytes: u64) -> Result<(), Error> {
        std::fs::write(self.dir.join(self.limit), bytes.to_string()).map_err(failed)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "a control group is left");
        }
    }
}

/// R1.
pub async fn memory(options: &Options) -> Result<Played, Error> {
    let group = Group::new().ok_or(Error::NotPlayed(
        "no control group with a memory limit can be made here (it takes root, or a delegated group)",
    ))?;
    let bed = Bed::open(options).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let victim = bed.net.node(3)?;
    let normal = victim.resident_bytes().1;
    let mut findings = Vec::new();
    let mut killed = Vec::new();
    for percent in LIMITS_PERCENT {
        group.set_limit(normal / 100 * percent)?;
        victim.stop().await;
        victim.inject(Injection { app_cgroup: Some(group.dir.clone()), ..Injection::default() });
        let time = Duration::from_secs(if options.is_long { 60 } else { 4 });
        killed.push(is_killed(victim, time).await?);
        let end = if killed.ends_with(&[true]) { "was killed" } else { "went on" };
        findings.push(format!("with {percent} % of {} MiB the application {end}", normal >> 20));
        victim.stop().await;
        victim.inject(Injection::default());
        victim.start().await?;
        victim.wait_height(bed.height().await, HEAL_TIMEOUT).await?;
    }
    // It would not have come so far if a node that was killed had not come back.
    let count = killed.iter().filter(|is_killed| **is_killed).count();
    let detail = format!(
        "{count} of {} limits killed the application, and each time it came back clean and caught up",
        killed.len()
    );
    let check = Check::new("R1", killed.ends_with(&[true]), detail);
    conclude(bed, u32::try_from(killed.len()).map_err(failed)?, vec![check], findings).await
}

/// Starts a node whose application may be killed for its memory at once, or under load within this time, or not at all. Any
/// other end is an error.
async fn is_killed(node: &Node, time: Duration) -> Result<bool, Error> {
    let death = match node.start().await {
        Ok(()) => {
            let ended = wait_until("it is killed", time, async || node.death().is_some()).await;
            ended.ok().and_then(|_| node.take_death())
        }
        Err(net::Error::Died(_)) => node.take_death(),
        Err(error) => return Err(error.into()),
    };
    match death {
        None => Ok(false),
        Some(death) if !node.is_app_running() && death.status.signal() == Some(SIGKILL) => Ok(true),
        Some(death) => Err(net::Error::Died(Box::new(death)).into()),
    }
}
