//! Child processes that never outlive this one, each with a log file.
//!
//! A child is started through `setpriv --pdeathsig KILL` (util-linux, part of every Debian), so the kernel kills it when the
//! thread that started it ends, however this process dies. Therefore each child has a thread here that lives as long as it
//! does: it starts the child, notices its end and writes down whether that end was wanted.
//! A child has a process group of its own, so that Ctrl-C in the terminal reaches only us and the stop keeps its order.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Error;

/// How often a child's thread looks whether it has ended.
const EXIT_POLL: Duration = Duration::from_millis(20);
/// How much of the end of a log is shown for a process that died.
const LOG_TAIL_BYTES: u64 = 3000;
/// The kernel's unit of CPU time in `/proc/PID/stat`, the same on every Linux that user space can see.
const CLOCK_TICKS_PER_SECOND: u64 = 100;
/// Variables by which the user's environment would override the nodes' configuration files.
const OVERRIDES: [&str; 2] = ["CMT", "UNDERBID_"];

/// What to start.
pub struct Launch {
    /// The name in messages, such as `node2/comet`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables added to our environment.
    pub environment: Vec<(String, String)>,
    /// A control group that it is started in, by its directory.
    pub cgroup: Option<PathBuf>,
    /// The directory that it runs in.
    pub directory: PathBuf,
    /// The file that its output is appended to.
    pub log: PathBuf,
}

/// A child process. Dropping it kills it.
pub struct Process {
    name: String,
    log: PathBuf,
    id: u32,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    child: Child,
    is_end_wanted: bool,
    status: Option<ExitStatus>,
}

/// A process that ended without being asked to.
#[derive(Clone, Debug)]
pub struct Death {
    /// Which one.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its log.
    pub log: PathBuf,
    /// The end of its log.
    pub log_tail: String,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, status, log, log_tail } = self;
        write!(f, "{name} died unexpectedly ({status}); the end of {}:\n{log_tail}", log.display())
    }
}

impl Death {
    /// The same on one line, without the end of the log.
    pub fn summary(&self) -> String {
        format!("{} died unexpectedly ({}); its log is {}", self.name, self.status, self.log.display())
    }
}

impl Process {
    /// Starts a child and returns once it runs.
    pub fn start(launch: Launch) -> Result<Self, Error> {
        let Launch { name, log, .. } = &launch;
        let failed =
            |source| Error::Start { name: launch.name.clone(), program: launch.program.clone(), source };
        let (name, log) = (name.clone(), log.clone());
        let mut command = command(&launch).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name(name.clone())
            .spawn(move || match command.spawn() {
                Err(error) => {
                    report(&sender, Err(io::Error::other(format!("setpriv of util-linux: {error}"))))
                }
                Ok(child) => {
                    let id = child.id();
                    let shared = Arc::new(Mutex::new(Shared { child, is_end_wanted: false, status: None }));
                    report(&sender, Ok((id, Arc::clone(&shared))));
                    watch(&shared);
                }
            })
            .map_err(failed)?;
        let started = receiver.recv().unwrap_or_else(|_| Err(io::Error::other("its thread ended")));
        let (id, shared) = started.map_err(failed)?;
        Ok(Self { name, log, id, shared })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.lock().poll().is_none()
    }

    /// Tells that the end of this process is no accident from now on. An end that has come already stays one.
    pub fn expect_end(&self) {
        self.lock().expect_end();
    }

    /// Tells that the end of this process is no accident, even if it has come already.
    pub fn forgive(&self) {
        self.lock().is_end_wanted = true;
    }

    /// The end that nobody asked for, if it came.
    pub fn death(&self) -> Option<Death> {
        let mut shared = self.lock();
        let status = shared.poll()?;
        let is_death = !shared.is_end_wanted;
        is_death.then(|| Death {
            name: self.name.clone(),
            status,
            log: self.log.clone(),
            log_tail: log_tail(&self.log).unwrap_or_else(|error| error.to_string()),
        })
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill(&self) {
        let mut shared = self.lock();
        shared.expect_end();
        if shared.poll().is_some() {
            return;
        }
        // SIGKILL can't be refused, so the wait is short; an error means that the child has ended already.
        if shared.child.kill().is_ok() {
            shared.status = shared.child.wait().ok();
        }
    }

    /// Asks it to end with SIGTERM, waits, and kills it after `patience`. Returns whether it ended by itself.
    pub fn stop(&self, patience: Duration) -> bool {
        self.terminate();
        let deadline = Instant::now() + patience;
        while self.is_running() {
            if Instant::now() >= deadline {
                self.kill();
                return false;
            }
            thread::sleep(EXIT_POLL);
        }
        true
    }

    fn terminate(&self) {
        let mut shared = self.lock();
        shared.expect_end();
        self.send(&mut shared, "TERM");
    }

    /// Sends a signal by its name, such as `STOP`. A process that has ended gets none.
    pub fn signal(&self, signal: &str) {
        self.send(&mut self.lock(), signal);
    }

    /// The id is the child's as long as it has not been waited for, which the lock excludes.
    fn send(&self, shared: &mut Shared, signal: &str) {
        if shared.poll().is_some() {
            return;
        }
        let command = format!("kill -{signal} {}", self.id);
        if let Err(error) = Command::new("sh").args(["-c", &command]).status() {
            tracing::warn!(process = self.name, signal, %error, "a signal could not be sent");
        }
    }

    /// The CPU time it has used, in user and kernel mode.
    pub fn cpu_time(&self) -> Duration {
        cpu_time_of(&self.id.to_string())
    }

    /// The memory it holds, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.memory_bytes("VmRSS:")
    }

    /// The most memory that it has held since it was started, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.memory_bytes("VmHWM:")
    }

    fn memory_bytes(&self, label: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(label));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
        kilobytes.unwrap_or_default() * 1024
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn expect_end(&mut self) {
        if self.poll().is_none() {
            self.is_end_wanted = true;
        }
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }
}

/// The CPU time of a process, `self` for this one; zero when it has ended.
pub fn cpu_time_of(id: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; after it, user and system time are fields 12 and 13.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / CLOCK_TICKS_PER_SECOND)
}

type Started = io::Result<(u32, Arc<Mutex<Shared>>)>;

fn report(sender: &mpsc::Sender<Started>, started: Started) {
    // The receiver waits in `Process::start`, so this fails only when that thread has panicked.
    if sender.send(started).is_err() {
        tracing::debug!("nobody waits for the start of the process");
    }
}

/// Keeps the thread that the kernel regards as the child's parent alive until the child ends.
fn watch(shared: &Mutex<Shared>) {
    while shared.lock().unwrap_or_else(PoisonError::into_inner).poll().is_none() {
        thread::sleep(EXIT_POLL);
    }
}

fn command(launch: &Launch) -> io::Result<Command> {
    let log = OpenOptions::new().create(true).append(true).open(&launch.log)?;
    let mut command = Command::new("setpriv");
    for (name, _) in std::env::vars_os() {
        if OVERRIDES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
            command.env_remove(name);
        }
    }
    command.args(["--pdeathsig", "KILL", "--"]);
    if let Some(cgroup) = &launch.cgroup {
        // The shell enters the group and then becomes the program, so that all of its memory is counted there.
        command.args(["sh", "-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(cgroup.join("cgroup.procs"));
    }
    command
        .arg(&launch.program)
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

fn log_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is cut unless the whole file was read.
    let is_cut = start > 0;
    Ok(text.split_once('\n').filter(|_| is_cut).map_or(text.clone(), |(_, rest)| rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use super::{EXIT_POLL, Launch, Process};

    fn shell(dir: &Path, script: &str) -> Process {
        Process::start(Launch {
            name: "shell".to_owned(),
            program: "sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: Vec::new(),
            cgroup: None,
            directory: dir.to_owned(),
            log: dir.join("log"),
        })
        .unwrap()
    }

    #[test]
    fn an_end_is_wanted_only_if_it_was_before_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(dir.path(), "exit 3");
        while process.is_running() {
            thread::sleep(EXIT_POLL);
        }
        process.expect_end();
        process.kill();
        assert!(process.stop(Duration::ZERO));
        assert_eq!(process.death().unwrap().status.code(), Some(3));
        process.forgive();
        assert!(process.death().is_none());

        let process = shell(dir.path(), "sleep 60");
        process.kill();
        assert!(process.death().is_none());
    }

    #[test]
    fn who_does_not_listen_is_killed_which_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(dir.path(), "trap '' TERM; echo deaf; while :; do sleep 0.02; done");
        while std::fs::read_to_string(dir.path().join("log")).unwrap() != "deaf\n" {
            thread::sleep(EXIT_POLL);
        }
        assert!(!process.stop(Duration::from_millis(100)));
        assert!(!process.is_running());
        assert!(process.death().is_none());
    }

    #[test]
    fn the_peak_outlasts_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let script = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); x=; echo freed; sleep 60";
        let process = shell(dir.path(), script);
        while std::fs::read_to_string(dir.path().join("log")).unwrap() != "freed\n" {
            thread::sleep(EXIT_POLL);
        }
        assert!(process.peak_bytes() > 30_000_000, "{}", process.peak_bytes());
        assert!(process.resident_bytes() < process.peak_bytes());
    }
}
