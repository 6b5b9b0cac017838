//! Scenarios on real CometBFT processes with its builtin key-value store.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::control::{self, Answer, Control, Request};
use super::{Error, Net, Spec};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_validator_comes_back_to_the_same_chain() {
    let dir = tempfile::tempdir().unwrap();
    let net = Arc::new(Net::up(Spec::kvstore(dir.path().join("net"))).await.unwrap());
    let sent = net.node(1).unwrap().rpc().broadcast_tx_sync(b"key=value").await.unwrap();
    assert_eq!(sent.code, 0, "{}", sent.log);
    let inclusion = loop {
        match net.node(3).unwrap().rpc().tx(&sent.hash).await.unwrap() {
            Some(inclusion) => break inclusion,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(inclusion.tx_result.code, 0);

    net.node(2).unwrap().kill();
    assert_eq!(net.heights().await[2], None);
    let height = net.heights().await[0].unwrap() + 5;
    // Bots, tables and scenarios wait in tasks of their own.
    let waiting = Arc::clone(&net);
    tokio::spawn(async move { waiting.wait_height(height, TIMEOUT).await }).await.unwrap().unwrap();

    net.node(2).unwrap().restart().await.unwrap();
    net.wait_height(height, TIMEOUT).await.unwrap();
    let expected = net.app_hash_at(0, height).await.unwrap();
    assert!(!expected.is_empty());
    for index in 1..4 {
        assert_eq!(net.app_hash_at(index, height).await.unwrap(), expected, "node {index}");
    }
    let query = net.node(2).unwrap().rpc().abci_query("/store", b"key", 0, false).await.unwrap();
    assert_eq!(query.value, b"value");
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_net_that_was_killed_at_once_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net");
    let net = Net::up(Spec::kvstore(&path)).await.unwrap();
    // Whoever comes by the same directory while it runs does no harm.
    assert!(matches!(Net::open(&path).await, Err(Error::Running { .. })));
    assert!(matches!(Net::make(Spec::kvstore(&path)), Err(Error::Running { .. })));
    assert!(matches!(Net::remove(&path), Err(Error::Running { .. })));
    net.wait_height(10, TIMEOUT).await.unwrap();
    let hash = net.app_hash_at(0, 10).await.unwrap();
    let chain_id = net.node(0).unwrap().rpc().status().await.unwrap().chain_id;
    net.kill_all();
    assert_eq!(net.heights().await, vec![None; 4]);
    net.check().unwrap();
    net.start_all().await.unwrap();
    net.wait_height(20, TIMEOUT).await.unwrap();
    assert_eq!(net.app_hash_at(3, 10).await.unwrap(), hash);

    drop(net);
    let net = Net::open(&path).await.unwrap();
    net.wait_height(30, TIMEOUT).await.unwrap();
    assert_eq!(net.node(1).unwrap().rpc().status().await.unwrap().chain_id, chain_id);
    assert_eq!(net.app_hash_at(2, 10).await.unwrap(), hash);
    net.stop().await;
    assert!(net.unwanted_ends().is_empty(), "{:?}", net.unwanted_ends());
    drop(net);
    assert!(matches!(Net::up(Spec::kvstore(&path)).await, Err(Error::DirNotEmpty { .. })));
    Net::remove(&path).unwrap();
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_end_that_nobody_wanted_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::up(Spec { validators: 1, ..Spec::kvstore(dir.path().join("net")) }).await.unwrap();
    let node = net.node(0).unwrap();
    let murder = async || {
        let kill = format!("kill -KILL {}", node.process_ids().0.unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        net.died().await
    };
    murder().await;
    net.kill_all();
    assert_eq!(net.unwanted_ends().len(), 1);
    // Three ways to a new process, and none forgets the old one.
    net.start_all().await.unwrap();
    murder().await;
    node.start_comet().await.unwrap();
    murder().await;
    node.restart().await.unwrap();
    let ends = net.unwanted_ends();
    assert!(ends.iter().all(|end| end.starts_with("node0/comet died unexpectedly (signal: 9")), "{ends:?}");
    assert_eq!(ends.len(), 3);

    murder().await;
    assert!(node.take_death().is_some());
    node.restart().await.unwrap();
    node.kill();
    node.start().await.unwrap();
    assert_eq!(net.unwanted_ends().len(), 3);

    node.pause();
    net.stop().await;
    let ends = net.unwanted_ends();
    assert_eq!(ends[3..], ["node0/comet did not end within 10s of SIGTERM and was killed"]);
}

#[tokio::test]
async fn what_an_interruption_left_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net");
    std::fs::create_dir_all(dir.path().join("net.unfinished/node0/config")).unwrap();
    std::fs::write(dir.path().join("net.unfinished/node0/config/genesis.json"), "{").unwrap();
    drop(Net::make(Spec::kvstore(&path)).unwrap());
    let grep = Command::new("grep").args(["-rlF", "net.unfinished"]).arg(&path).output().unwrap();
    assert_eq!((grep.status.code(), String::from_utf8(grep.stdout).unwrap()), (Some(1), String::new()));

    std::fs::create_dir(dir.path().join("net.unfinished")).unwrap();
    Net::remove(&path).unwrap();
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);

    // An empty directory is as good as none.
    std::fs::create_dir(&path).unwrap();
    drop(Net::make(Spec::kvstore(&path)).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_by_itself_is_reported_with_the_end_of_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::up(Spec { validators: 1, ..Spec::kvstore(dir.path().join("net")) }).await.unwrap();
    let (comet, _) = net.node(0).unwrap().process_ids();
    let kill = format!("kill -KILL {}", comet.unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let death = net.died().await;
    assert_eq!((death.name.as_str(), death.status.signal()), ("node0/comet", Some(9)));
    assert!(matches!(net.wait_height(1_000_000, TIMEOUT).await, Err(Error::Died(_))));

    let config = net.node(0).unwrap().home().join("config/config.toml");
    let broken = std::fs::read_to_string(&config)
        .unwrap()
        .replace("timeout_commit = \"0ms\"", "timeout_commit = \"-1s\"");
    std::fs::write(&config, broken).unwrap();
    let Err(Error::Died(death)) = net.node(0).unwrap().restart().await else { panic!("expected a death") };
    assert!(death.log_tail.contains("timeout_commit"), "{death}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_a_running_net() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net");
    let net = Net::up(Spec::kvstore(&path)).await.unwrap();
    let control = Control::open(&path).unwrap();
    let commands = async {
        let status = async || match control::send(&path, &Request::Status).await.unwrap() {
            Answer::Status { nodes, .. } => nodes,
            other => panic!("{other:?}"),
        };
        assert!(status().await.iter().all(|node| node.is_running && node.height.is_some()));
        control::send(&path, &Request::Kill { node: 3 }).await.unwrap();
        assert_eq!(status().await.iter().filter(|node| node.is_running).count(), 3);
        control::send(&path, &Request::Restart { node: 3 }).await.unwrap();
        assert_eq!(status().await.iter().filter(|node| node.is_running).count(), 4);
        let error = control::send(&path, &Request::Kill { node: 4 }).await.unwrap_err().to_string();
        assert!(error.ends_with("node 4: this net has nodes 0 to 3"), "{error}");
        control::send(&path, &Request::Down).await.unwrap();
    };
    tokio::join!(control.serve(&net), commands);
    drop(control);
    net.stop().await;
    let error = async || control::send(&path, &Request::Status).await.unwrap_err().to_string();
    assert!(error().await.contains("takes no commands"), "{}", error().await);
    drop(net);
    control::wait_until_down(&path).await.unwrap();
    assert!(error().await.contains("no net runs here"), "{}", error().await);
}

#[tokio::test]
async fn what_can_not_be_a_net_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let spec = |name: &str| Spec::kvstore(dir.path().join(name));
    let none = Net::up(Spec { validators: 0, ..spec("a") }).await;
    assert!(matches!(none, Err(Error::Nodes { validators: 0, .. })));
    let many = Net::up(Spec { validators: 19, observers: 1, ..spec("a") }).await;
    assert!(matches!(many, Err(Error::Nodes { validators: 19, observers: 1 })));
    for comet in ["/bin/true", "/bin/no-such-program"] {
        let comet = Net::up(Spec { comet: comet.into(), ..spec("a") }).await;
        assert!(matches!(comet, Err(Error::Comet { .. })));
    }
    // One that fails is not one to install.
    let comet = Net::up(Spec { comet: "/bin/false".into(), ..spec("a") }).await;
    assert!(matches!(comet, Err(Error::CometFailed { .. })));
    let genesis = Net::up(Spec { genesis: serde_json::json!({}), ..spec("a") }).await;
    assert!(matches!(genesis, Err(Error::Genesis { .. })));
    assert!(matches!(Net::open(dir.path()).await, Err(Error::NoNet { .. })));
    // Nothing is left of all that.
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}
