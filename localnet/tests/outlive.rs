//! The program as a user runs it: nothing that it started may survive it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);

fn up(dir: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_localnet"));
    command.args(["up", "--app", "kvstore", "--validators", "2", "--dir", "net"]).current_dir(dir);
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    wait_until("the net runs", || dir.join("net/control.sock").exists());
    assert_eq!(alive(dir), 2);
    child
}

/// The number of processes that mention the directory in their arguments and have not ended.
fn alive(dir: &Path) -> usize {
    let needle = dir.join("net").display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_alive = |path: &Path| {
        let arguments = fs::read(path.join("cmdline")).unwrap_or_default();
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&needle) && !stat.contains(") Z ")
    };
    processes.filter(|process| is_alive(&process.path())).count()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "expected within a minute: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killing_localnet_kills_its_nodes_and_the_net_can_be_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    let mut child = up(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the nodes are dead", || alive(&path) == 0);

    fs::remove_file(path.join("net/control.sock")).unwrap();
    let mut child = up(&path);
    let terminate = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &terminate]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert_eq!(alive(&path), 0);

    let mut child = up(&path);
    let down = Command::new(env!("CARGO_BIN_EXE_localnet"))
        .args(["down", "--dir", "net"])
        .current_dir(&path)
        .status();
    assert!(down.unwrap().success());
    assert_eq!(alive(&path), 0);
    assert!(child.wait().unwrap().success());
}
