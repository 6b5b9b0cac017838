//! One node: a CometBFT process and its application.

use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use underbid::client::rpc::Rpc;

use super::process::{Death, Launch, Process};
use super::{App, Error, Manifest, NodePorts, POLL, home};

/// How long an application may take to open its socket: a debug build that rebuilds a large state is slow.
const APP_START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long CometBFT may take to its RPC, which it opens after it has replayed what the application lacks.
const COMET_START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process may take to end after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// The socket between CometBFT and its application, relative to the node's home.
pub(super) const ABCI_SOCKET: &str = "abci.sock";

/// What is done to a node besides starting it.
#[derive(Clone, Debug, Default)]
pub struct Injection {
    /// Variables of CometBFT's environment.
    pub comet_environment: Vec<(String, String)>,
    /// Arguments added to `cometbft start`.
    pub comet_arguments: Vec<String>,
    /// Variables of the application's environment.
    pub app_environment: Vec<(String, String)>,
    /// A control group that the application is started in.
    pub app_cgroup: Option<PathBuf>,
}

/// One node of a net.
pub struct Node {
    index: usize,
    home: PathBuf,
    ports: NodePorts,
    manifest: Arc<Manifest>,
    rpc: Rpc,
    processes: Mutex<Processes>,
    injection: Mutex<Injection>,
    is_paused: AtomicBool,
    unwanted_ends: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct Processes {
    // Declared first to be dropped first: CometBFT may hang when its application is gone before it.
    comet: Option<Process>,
    app: Option<Process>,
}

/// What a node is waited for.
#[derive(Clone, Copy)]
enum Goal {
    Socket,
    Rpc,
    Height(u64),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("the application's socket"),
            Self::Rpc => f.write_str("CometBFT's RPC"),
            Self::Height(height) => write!(f, "height {height}"),
        }
    }
}

impl Node {
    pub(super) fn new(index: usize, dir: &Path, manifest: &Arc<Manifest>, ports: NodePorts) -> Self {
        Self {
            index,
            home: home::node_dir(dir, index),
            ports,
            manifest: Arc::clone(manifest),
            rpc: Rpc::new(format!("http://127.0.0.1:{}", ports.rpc)),
            processes: Mutex::default(),
            injection: Mutex::default(),
            is_paused: AtomicBool::new(false),
            unwanted_ends: Arc::default(),
        }
    }

    /// Its number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The directory with its configuration, data and logs, absolute.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its ports on 127.0.0.1.
    pub fn ports(&self) -> NodePorts {
        self.ports
    }

    /// A client of its RPC.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// Where its application serves gRPC.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.grpc)
    }

    /// Whether all its processes run.
    pub fn is_running(&self) -> bool {
        let processes = self.lock();
        let is_up = |process: &Option<Process>| process.as_ref().is_some_and(Process::is_running);
        is_up(&processes.comet) && (is_up(&processes.app) || self.app_launch().is_none())
    }

    /// Whether its application runs, as a process of its own.
    pub fn is_app_running(&self) -> bool {
        self.lock().app.as_ref().is_some_and(Process::is_running)
    }

    /// The end of one of its processes that nobody asked for.
    pub fn death(&self) -> Option<Death> {
        self.lock().death()
    }

    /// The same for a caller who provoked that end: it counts as wanted from now on.
    pub fn take_death(&self) -> Option<Death> {
        let processes = self.lock();
        let death = processes.death()?;
        processes.iter().for_each(Process::forgive);
        Some(death)
    }

    /// What ended so far though nobody asked for it, and what was asked and had to be killed; a line each.
    pub(super) fn unwanted_ends(&self) -> Vec<String> {
        let mut ends = lock(&self.unwanted_ends).clone();
        ends.extend(self.death().map(|death| death.summary()));
        ends
    }

    /// The process ids of CometBFT and of the application, which may have ended: to pause them, or to hurt them.
    pub fn process_ids(&self) -> (Option<u32>, Option<u32>) {
        self.measure(|process| Some(process.id()))
    }

    /// The CPU time that CometBFT and the application have used since they were started.
    pub fn cpu_time(&self) -> (Duration, Duration) {
        self.measure(Process::cpu_time)
    }

    /// The memory that CometBFT and the application hold, in bytes.
    pub fn resident_bytes(&self) -> (u64, u64) {
        self.measure(Process::resident_bytes)
    }

    /// The most memory that CometBFT and the application have held since they were started, in bytes.
    pub fn peak_bytes(&self) -> (u64, u64) {
        self.measure(Process::peak_bytes)
    }

    fn measure<T: Default>(&self, measure: impl Fn(&Process) -> T) -> (T, T) {
        let processes = self.lock();
        let of = |process: &Option<Process>| process.as_ref().map(&measure).unwrap_or_default();
        (of(&processes.comet), of(&processes.app))
    }

    /// Starts what does not run. Returns when CometBFT's RPC answers.
    pub async fn start(&self) -> Result<(), Error> {
        if self.is_running() {
            return Ok(());
        }
        self.stop().await;
        self.start_app().await?;
        self.start_comet().await
    }

    /// Starts the application alone, if it is not in CometBFT's process; one that runs is killed.
    pub async fn start_app(&self) -> Result<(), Error> {
        let Some(launch) = self.app_launch() else { return Ok(()) };
        let replaced = self.lock().app.take();
        self.bury(replaced);
        remove_file_if_there(&self.home.join(ABCI_SOCKET))?;
        let app = Process::start(launch)?;
        self.lock().app = Some(app);
        self.wait_for(Goal::Socket, APP_START_TIMEOUT).await
    }

    /// Starts CometBFT alone; one that runs is killed. Returns when its RPC answers.
    pub async fn start_comet(&self) -> Result<(), Error> {
        self.launch_comet()?;
        self.wait_for(Goal::Rpc, COMET_START_TIMEOUT).await
    }

    /// The same without waiting for the RPC.
    pub fn launch_comet(&self) -> Result<(), Error> {
        let replaced = self.lock().comet.take();
        self.bury(replaced);
        let comet = Process::start(self.comet_launch())?;
        self.lock().comet = Some(comet);
        Ok(())
    }

    /// Kills a process, if there is one, and keeps in mind that it had died before.
    fn bury(&self, process: Option<Process>) {
        let death = process.and_then(|process| process.death());
        lock(&self.unwanted_ends).extend(death.map(|death| death.summary()));
    }

    /// What its processes are given from their next start on.
    pub fn inject(&self, injection: Injection) {
        *lock(&self.injection) = injection;
    }

    fn injection(&self) -> Injection {
        lock(&self.injection).clone()
    }

    /// Stops both processes where they are, with SIGSTOP.
    pub fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
        self.signal("STOP");
    }

    /// Lets both processes go on.
    pub fn resume(&self) {
        self.signal("CONT");
        self.is_paused.store(false, Ordering::Relaxed);
    }

    /// The height that the application has committed; `None` where nobody answers.
    pub async fn height(&self) -> Option<u64> {
        match self.is_paused.load(Ordering::Relaxed) || !self.is_running() {
            true => None,
            false => self.rpc.height().await.ok(),
        }
    }

    fn signal(&self, signal: &str) {
        let processes = self.lock();
        [&processes.comet, &processes.app].into_iter().flatten().for_each(|process| process.signal(signal));
    }

    /// Ends both processes in order and waits for it.
    pub async fn stop(&self) {
        self.stop_detached().await;
    }

    /// Takes the processes out and ends them; the future does not borrow the node.
    pub(super) fn stop_detached(&self) -> impl Future<Output = ()> + Send + use<> {
        let processes = std::mem::take(&mut *self.lock());
        let unwanted_ends = Arc::clone(&self.unwanted_ends);
        let stop = move || {
            let ends = processes.stop();
            lock(&unwanted_ends).extend(ends);
        };
        let stopping = tokio::task::spawn_blocking(stop);
        async move {
            if let Err(error) = stopping.await {
                tracing::error!(%error, "a node could not be stopped");
            }
        }
    }

    /// Starts it again: in order if it runs, from what is there if it was killed.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await;
        self.start().await
    }

    /// Kills both processes with SIGKILL.
    pub fn kill(&self) {
        self.expect_end();
        let processes = self.lock();
        [&processes.comet, &processes.app].into_iter().flatten().for_each(Process::kill);
    }

    /// Kills the application alone; with a builtin one that is CometBFT. CometBFT notices and ends itself, which is
    /// expected then.
    pub fn kill_app(&self) {
        self.expect_end();
        let processes = self.lock();
        if let Some(process) = processes.app.as_ref().or(processes.comet.as_ref()) {
            process.kill();
        }
    }

    /// Kills CometBFT alone, with SIGKILL; the application waits for the next one.
    pub fn kill_comet(&self) {
        if let Some(comet) = &self.lock().comet {
            comet.kill();
        }
    }

    /// Tells that the end of its processes is no accident from now on. An end that has come already stays one.
    pub fn expect_end(&self) {
        self.lock().iter().for_each(Process::expect_end);
    }

    /// Waits until this node has committed `height`. Fails at once when one of its processes dies.
    pub async fn wait_height(&self, height: u64, timeout: Duration) -> Result<(), Error> {
        self.wait_for(Goal::Height(height), timeout).await
    }

    async fn wait_for(&self, goal: Goal, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        while !self.has_reached(goal).await {
            if let Some(death) = self.death() {
                return Err(Error::Died(Box::new(death)));
            }
            if Instant::now() >= deadline {
                let height = self.rpc.height().await;
                let state = height
                    .map_or_else(|error| error.to_string(), |height| format!("it is at height {height}"));
                return Err(Error::Timeout { what: format!("node{}: {goal}", self.index), timeout, state });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn has_reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Socket => is_socket(&self.home.join(ABCI_SOCKET)),
            Goal::Rpc => self.rpc.status().await.is_ok(),
            Goal::Height(height) => self.rpc.height().await.is_ok_and(|reached| reached >= height),
        }
    }

    fn comet_launch(&self) -> Launch {
        let home = self.home.display().to_string();
        let Injection { comet_environment, comet_arguments, .. } = self.injection();
        // A block's garbage is many times what is kept: to collect at every doubling would cost much of the processor under
        // load. The limit keeps the heap small all the same.
        let mut environment = vec![
            ("GOMEMLIMIT".to_owned(), self.manifest.comet_memory_bytes.to_string()),
            ("GOGC".to_owned(), "400".to_owned()),
        ];
        environment.extend(comet_environment);
        let mut arguments = ["start", "--home", &home].map(str::to_owned).to_vec();
        arguments.extend(comet_arguments);
        Launch {
            name: format!("node{}/comet", self.index),
            program: self.manifest.comet.clone(),
            arguments,
            environment,
            cgroup: None,
            directory: self.home.clone(),
            log: self.home.join("comet.log"),
        }
    }

    /// `None` when the application is in CometBFT's process.
    fn app_launch(&self) -> Option<Launch> {
        let App::Underbid { binary, arguments } = &self.manifest.app else { return None };
        let home = self.home.display().to_string();
        let mut all = ["start", "--home", &home].map(str::to_owned).to_vec();
        all.extend_from_slice(arguments);
        let Injection { app_environment, app_cgroup, .. } = self.injection();
        Some(Launch {
            name: format!("node{}/app", self.index),
            program: binary.clone(),
            arguments: all,
            environment: app_environment,
            cgroup: app_cgroup,
            directory: self.home.clone(),
            log: self.home.join("app.log"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Processes> {
        lock(&self.processes)
    }
}

impl Processes {
    fn iter(&self) -> impl Iterator<Item = &Process> {
        // CometBFT ends itself when its application dies, so the application's death is the one to find first.
        [&self.app, &self.comet].into_iter().flatten()
    }

    fn death(&self) -> Option<Death> {
        self.iter().find_map(Process::death)
    }

    /// Ends both in order. Returns what nobody wanted: that one had died before, or that one had to be killed.
    fn stop(self) -> Vec<String> {
        let is_app_gone = self.app.as_ref().is_some_and(|app| !app.is_running());
        let mut ends = Vec::new();
        for process in [&self.comet, &self.app].into_iter().flatten() {
            // Without its application CometBFT has ended, or hangs and won't listen, which is no news.
            let patience = if is_app_gone { Duration::ZERO } else { STOP_PATIENCE };
            if !process.stop(patience) && !is_app_gone {
                ends.push(format!(
                    "{} did not end within {STOP_PATIENCE:?} of SIGTERM and was killed",
                    process.name()
                ));
            }
        }
        ends.extend(self.death().map(|death| death.summary()));
        ends
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn remove_file_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
