//! The program as a user runs it: nothing that it started may survive it, and a second one leaves the first alone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(60);

const VALIDATORS: usize = 2;

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_localnet"));
    command.args(["up", "--app", "kvstore", "--dir", "net", "--validators", &VALIDATORS.to_string()]);
    command.current_dir(dir).stdout(Stdio::null());
    command
}

fn up(dir: &Path) -> Child {
    let child = command(dir).spawn().unwrap();
    wait_until("the net runs", || dir.join("net/control.sock").exists());
    assert_eq!(alive(dir), VALIDATORS);
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

/// What the program says on standard error when it fails.
fn complaint(dir: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_localnet")).args(arguments).current_dir(dir).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_second_program_leaves_a_running_net_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    let mut child = up(&path);
    // As while a demo plays: the net takes no commands.
    fs::remove_file(path.join("net/control.sock")).unwrap();
    let genesis = Path::new(env!("CARGO_MANIFEST_DIR")).join("../genesis/localnet.json");
    let genesis = genesis.to_str().unwrap();
    for arguments in [
        &["up", "--app", "kvstore", "--dir", "net"][..],
        &["up", "--app", "kvstore", "--dir", "net", "--reset"],
        &["demo", "--dir", "net", "--genesis", genesis],
    ] {
        let complaint = complaint(&path, arguments);
        assert!(complaint.contains("a net runs in "), "{arguments:?}: {complaint}");
    }
    let complaint = complaint(&path, &["down", "--dir", "net"]);
    assert!(complaint.contains("takes no commands"), "{complaint}");
    assert_eq!(alive(&path), VALIDATORS);
    assert!(path.join("net/net.json").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn ctrl_c_while_a_net_is_made_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    // The terminal's Ctrl-C goes to all processes of the group.
    let child = command(&path).process_group(0).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the net is being made", || path.join("net.unfinished/node0").exists());
    let interrupt = format!("kill -INT -{}", child.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), complaint.as_str()), (Some(1), "error: interrupted\n"));
    wait_until("the nodes are dead", || alive(&path) == 0);
    let mut child = up(&path);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_the_program_can_not_do_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let complaint = |arguments: &[&str]| complaint(path, arguments);
    assert!(complaint(&["demo", "--app", "kvstore"]).contains("--app underbid"));
    assert!(complaint(&["demo", "--no-tx-index"]).contains("expected no --no-tx-index"));
    assert!(complaint(&["status"]).contains(".localnet/net/control.sock: no net runs here"));
    // Where `localnet/setup` puts CometBFT, it is found without a path; this one is another program.
    fs::create_dir_all(path.join(".cache/bin")).unwrap();
    std::os::unix::fs::symlink("/bin/echo", path.join(".cache/bin/cometbft")).unwrap();
    let complaint = complaint(&["up", "--app", "kvstore"]);
    assert!(complaint.contains(".cache/bin/cometbft: version version, expected 0.38.x"), "{complaint}");
    assert!(!path.join(".localnet").exists());
}
