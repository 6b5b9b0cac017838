//! The program `underbid` as a user runs it: keys, configuration, genesis, and the commands made from the descriptors.
//! What needs a running chain is tested on the local net.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost::Message;
use proto::{
    cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin},
    underbid::market::v1::{MsgCloseLease, MsgCreateBid, TenantReason},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The first mnemonic of the BIP-39 test vectors, and its account.
const MNEMONIC: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const ADDRESS: &str = "underbid19rl4cm2hmr8afy4kldpxz3fka4jguq0aa2nt8c";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A home whose test keyring holds `alice`, the key of [`MNEMONIC`].
    fn with_alice() -> Self {
        let home = Self::new();
        let file = home.write("words", MNEMONIC);
        home.ok(&["keys", "add", "alice", "--keyring", "test", "--mnemonic-file", &file]);
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the program without a terminal, and without the variables of whoever runs the tests.
    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_underbid"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNDERBID_") {
                command.env_remove(name);
            }
        }
        let home = ["--home", self.path().to_str().unwrap()];
        command.args(arguments).args(home).envs(environment.iter().copied()).stdin(Stdio::null());
        command.output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// Standard output of a command that must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--output", "json"]].concat())).unwrap()
    }

    /// The one line on standard error of a command that must fail with this code.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        self.fails_with(code, arguments, &[])
    }

    fn fails_with(&self, code: i32, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.run_with(arguments, environment);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints results although it failed");
        error
    }

    /// The bytes of the one message that these arguments make.
    fn message(&self, arguments: &[&str]) -> Vec<u8> {
        let offline = [
            "--from",
            "alice",
            "--keyring",
            "test",
            "--gas",
            "100000",
            "--fees",
            "250uflop",
            "--generate-only",
        ];
        let tx: Value = serde_json::from_str(&self.ok(&[&["tx"], arguments, &offline].concat())).unwrap();
        assert_eq!(tx["auth_info"]["fee"]["gas_limit"], "100000");
        assert_eq!(tx["auth_info"]["fee"]["amount"][0]["denom"], "uflop");
        let mut message = tx["body"]["messages"][0].clone();
        let url = message["@type"].take();
        message.as_object_mut().unwrap().remove("@type");
        let pool = prost_reflect::DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let descriptor = pool.get_message_by_name(url.as_str().unwrap().trim_start_matches('/')).unwrap();
        prost_reflect::DynamicMessage::deserialize(descriptor, message).unwrap().encode_to_vec()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_recovered_key_has_the_account_of_every_cosmos_wallet() {
    let home = Home::with_alice();
    assert_eq!(home.ok(&["keys", "show", "alice", "--address", "--keyring", "test"]).trim(), ADDRESS);
    let keys = home.json(&["keys", "list", "--keyring", "test"]);
    assert_eq!(keys[0]["name"], "alice");
    assert_eq!(keys[0]["address"], ADDRESS);
    let cosmos = home.ok(&["keys", "list", "--keyring", "test", "--prefix", "underbid"]);
    assert!(cosmos.contains(ADDRESS));
}

#[test]
fn a_new_key_is_encrypted_shows_its_mnemonic_once_and_opens_with_its_passphrase() {
    let home = Home::new();
    let passphrase = [("UNDERBID_PASSPHRASE", "correct horse")];
    let added = home.run_with(&["keys", "add", "bob", "--output", "json"], &passphrase);
    assert!(added.status.success(), "{}", stderr(&added));
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    assert_eq!(added["mnemonic"].as_str().unwrap().split(' ').count(), 24);

    let error =
        home.fails_with(1, &["keys", "export", "bob", "--secret"], &[("UNDERBID_PASSPHRASE", "wrong")]);
    assert!(error.ends_with("error: wrong passphrase for the key bob\n"), "{error}");
    let secret = home.run_with(&["keys", "export", "bob", "--secret"], &passphrase);
    let secret = String::from_utf8(secret.stdout).unwrap();

    let words = home.write("words", added["mnemonic"].as_str().unwrap());
    home.ok(&["keys", "add", "again", "--keyring", "test", "--mnemonic-file", &words]);
    assert_eq!(home.ok(&["keys", "export", "again", "--secret", "--keyring", "test"]), secret);

    let exported = home.write("exported", &home.ok(&["keys", "export", "bob"]));
    let imported = home.run_with(&["keys", "import", "moved", &exported, "--keyring", "test"], &passphrase);
    assert!(imported.status.success(), "{}", stderr(&imported));
    assert_eq!(home.ok(&["keys", "export", "moved", "--secret", "--keyring", "test"]), secret);
}

#[test]
fn keys_that_can_not_be_are_refused() {
    let home = Home::with_alice();
    let bad = home.write("bad", "abandon abandon");
    for (arguments, expected) in [
        (&["keys", "add", "alice"][..], "exists already"),
        (&["keys", "add", "../alice"], "expected 1 to 64 letters"),
        (&["keys", "add", "b", "--mnemonic-file", &bad], "expected 12, 15, 18, 21 or 24 English words"),
        (&["keys", "add", "b", "--mnemonic-file", "/nowhere"], "/nowhere: No such file"),
        (&["keys", "import", "b", &bad], "64 hexadecimal digits"),
        (&["keys", "show", "b"], "no key b in"),
        (&["keys", "delete", "b", "--yes"], "no key b in"),
    ] {
        let error = home.fails(1, &[arguments, &["--keyring", "test"]].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let error = home.fails(2, &["keys", "delete", "alice", "--keyring", "test"]);
    assert!(error.contains("expected --yes"), "{error}");
    home.ok(&["keys", "delete", "alice", "--yes", "--keyring", "test"]);
    assert_eq!(home.json(&["keys", "list", "--keyring", "test"]), Value::Array(vec![]));
}

#[test]
fn config_shows_each_value_and_where_it_comes_from() {
    let home = Home::new();
    fs::create_dir(home.path().join("config")).unwrap();
    home.write("config/app.toml", "metrics = \"127.0.0.1:26670\"\n");
    let output = home.run_with(
        &["config", "--output", "json", "--log-level", "debug", "--chain-id", "x-1"],
        &[("UNDERBID_HISTORY_HEIGHTS", "64")],
    );
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(config["metrics"]["source"].as_str().unwrap().ends_with("config/app.toml"));
    assert_eq!(config["history_heights"]["value"], "64");
    assert_eq!(config["history_heights"]["source"], "environment variable UNDERBID_HISTORY_HEIGHTS");
    assert_eq!(config["log_level"]["source"], "flag --log-level");
    assert_eq!(config["chain_id"]["value"], "x-1");
    assert_eq!(config["node"]["source"], "default");
    assert!(home.ok(&["config"]).contains("127.0.0.1:26670"));

    home.write("config/app.toml", "metrics = 5\n");
    let error = home.fails(1, &["config"]);
    assert!(
        error.contains("config/app.toml: key `metrics`: found the number 5, expected a string"),
        "{error}"
    );
    home.write("config/app.toml", "metric = \"\"\n");
    assert!(home.fails(1, &["config"]).contains("unknown key `metric`"));
}

#[test]
fn a_genesis_that_is_wrong_is_refused_by_name() {
    let home = Home::new();
    for text in ["", "[]", "{}", "{\"chain_id\": 5}", &"[".repeat(100_000)] {
        let file = home.write("genesis.json", text);
        let error = home.fails(1, &["genesis", "validate", &file]);
        assert!(error.starts_with(&format!("error: {file}: ")), "{error}");
    }
    assert!(home.fails(1, &["genesis", "validate", "/nowhere.json"]).contains("/nowhere.json: No such file"));
}

#[test]
fn init_writes_a_home_and_never_over_one() {
    let home = Home::new();
    // Without CometBFT a genesis without validators gets none: that is said before anything is there.
    let error = home.fails_with(1, &["init", "--genesis", REFERENCE], &[("PATH", "")]);
    assert!(error.contains("the genesis has no validators") && error.contains("--cometbft PATH"), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    // An empty PATH: CometBFT's part is left to the user, and named.
    let output = home.run_with(&["init"], &[("PATH", "")]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(text.contains("cometbft init --home") && text.contains("underbid start --home"), "{text}");
    assert!(home.path().join("keyring").is_dir());
    let file = fs::read_to_string(home.path().join("config/app.toml")).unwrap();
    assert!(file.contains("# grpc = \"127.0.0.1:9090\""), "{file}");
    assert!(home.json(&["config"])["grpc"]["source"] == "default");

    home.write("config/app.toml", "grpc = \"\"\n");
    let error = home.fails_with(1, &["init"], &[("PATH", "")]);
    assert!(error.contains("config/app.toml exists already") && error.contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(home.path().join("config/app.toml")).unwrap(), "grpc = \"\"\n");
    assert!(home.run_with(&["init", "--force"], &[("PATH", "")]).status.success());

    let other = Home::new();
    let bad = other.write("genesis.json", "{]");
    let error = other.fails_with(1, &["init", "--genesis", &bad], &[("PATH", "")]);
    assert!(error.contains("expected a JSON object"), "{error}");
    assert!(!other.path().join("config").exists(), "nothing is written before the input is checked");
    let error = other.fails(1, &["init", "--cometbft", "/nowhere"]);
    assert!(error.contains("expected a program"), "{error}");
}

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../genesis/reference.json");

/// CometBFT's `init` as far as a home needs it: a key of its own, and a configuration and a genesis where there is none.
fn fake_cometbft(home: &Home, key: u8) -> String {
    let public_key = [key; 32];
    let address = hex::encode_upper(&Sha256::digest(public_key)[..20]);
    let public_key = BASE64_STANDARD.encode(public_key);
    let genesis = json!({
        "genesis_time": "2026-01-01T00:00:00Z", "chain_id": "test-1", "initial_height": "1",
        "validators": [{
            "address": address, "name": "", "power": "10",
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": public_key },
        }],
        "app_hash": "",
    });
    let program = home.write(
        "cometbft",
        &format!(
            "#!/bin/sh\ncd \"$3/config\"\n\
             [ -f config.toml ] || printf 'proxy_app = \"\"\\nabci = \"\"\\n# of {key}\\n' > config.toml\n\
             [ -f genesis.json ] || echo '{genesis}' > genesis.json\n"
        ),
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn a_replaced_genesis_has_this_node_and_not_the_network_before_as_its_validator() {
    let home = Home::new();
    let read = |file: &str| fs::read_to_string(home.path().join("config").join(file)).unwrap();
    let validator = |key: u8| {
        let program = fake_cometbft(&home, key);
        home.ok(&["init", "--force", "--genesis", REFERENCE, "--cometbft", &program]);
        let genesis = fs::read_to_string(home.path().join("config/genesis.json")).unwrap();
        let genesis: Value = serde_json::from_str(&genesis).unwrap();
        genesis["validators"][0]["pub_key"]["value"].clone()
    };
    assert_eq!(validator(1), BASE64_STANDARD.encode([1; 32]));
    assert_eq!(validator(2), BASE64_STANDARD.encode([2; 32]));
    // The peers of the network before are not asked for the new one's blocks.
    assert!(read("config.toml").contains("# of 2") && read("config.toml.old").contains("# of 1"));
    // What is kept stays kept, also of a run that was cut off.
    validator(3);
    assert!(read("config.toml.old").contains("# of 1") && read("config.toml.old2").contains("# of 2"));

    // What can't be replaced stays as it was.
    home.write("config/app.toml", "grpc = \"\"\n");
    let files = ["app.toml", "config.toml", "genesis.json"];
    let before = files.map(read);
    for (script, words) in
        [("echo no disk >&2; exit 1", "no disk"), ("echo > \"$3/config/config.toml\"", "proxy_app")]
    {
        let program = home.write("cometbft", &format!("#!/bin/sh\n{script}\n"));
        let error = home.fails(1, &["init", "--force", "--genesis", REFERENCE, "--cometbft", &program]);
        assert!(error.contains(words), "{error}");
        assert_eq!(files.map(read), before);
    }
}

#[test]
fn what_init_could_not_finish_can_be_tried_again() {
    let home = Home::new();
    let program = fake_cometbft(&home, 1);
    let broken = home.write("broken", "#!/bin/sh\ntouch \"$3/config/config.toml\"\nexit 1\n");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    home.fails(1, &["init", "--genesis", REFERENCE, "--cometbft", &broken]);
    home.ok(&["init", "--genesis", REFERENCE, "--cometbft", &program]);
}

/// Module and method of every command under `tx` or `query`, read from the help as a user reads it.
fn methods(home: &Home, root: &str) -> Vec<String> {
    let names = |help: &str| -> Vec<String> {
        let commands =
            help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // Beside the modules, `tx` has two commands that are no messages.
        let others = ["help", "sign", "broadcast"];
        let names =
            commands.filter_map(|line| line.split_whitespace().next()).filter(|name| !others.contains(name));
        names.map(str::to_owned).collect()
    };
    let modules = names(&home.ok(&[root, "--help"]));
    let methods = modules.iter().flat_map(|module| {
        names(&home.ok(&[root, module, "--help"])).into_iter().map(move |method| format!("{module} {method}"))
    });
    methods.collect()
}

#[test]
fn every_message_and_every_query_has_a_command_with_help() {
    let home = Home::new();
    for (root, expected) in [("tx", MESSAGES), ("query", QUERIES)] {
        let expected: Vec<String> =
            expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        assert_eq!(methods(&home, root), expected, "{root}");
        for method in expected {
            let (module, name) = method.split_once(' ').unwrap();
            let help = home.ok(&[root, module, name, "--help"]);
            assert!(help.contains("Usage: underbid") && help.contains(name), "{help}");
        }
    }
    let help = home.ok(&["tx", "market", "create-bid", "--help"]);
    assert!(help.contains("The price of one unit: ucredit a second times 10^18"), "{help}");
    assert!(help.contains("it is binding") || help.contains("binding"), "{help}");
    assert!(!help.contains("--signer"), "the signer comes from --from: {help}");
}

const MESSAGES: &str = "
    bank send
    bank multi-send
    bank burn
    escrow update-params
    market create-order
    market cancel-order
    market create-bid
    market improve-bid
    market withdraw-bid
    market confirm-start
    market top-up
    market close-lease
    market reclaim-lease
    market abandon-lease
    market settle
    market update-params
    provider set-class
    provider register-provider
    provider update-provider
    provider set-operators
    provider add-stake
    provider unstake
    provider set-capacity
    provider exit-provider
    provider update-params
";

const QUERIES: &str = "
    auth accounts
    auth account
    auth params
    auth module-accounts
    auth module-account-by-name
    auth bech32-prefix
    auth address-bytes-to-string
    auth address-string-to-bytes
    auth account-info
    bank balance
    bank all-balances
    bank spendable-balances
    bank spendable-balance-by-denom
    bank total-supply
    bank supply-of
    bank params
    bank denom-metadata
    bank denoms-metadata
    bank denom-owners
    bank send-enabled
    escrow params
    escrow account
    kernel params
    kernel base-fee
    kernel clock
    kernel paused
    kernel upgrade
    market params
    market order
    market orders
    market bids
    market bids-by-provider
    market quote-bid
    market award
    market lease
    market leases
    market held
    provider params
    provider class
    provider classes
    provider provider
    provider providers
    provider capacity
    provider unbondings
";

#[test]
fn flags_values_and_json_make_the_same_bytes() {
    let home = Home::with_alice();
    let bid = MsgCreateBid {
        signer: ADDRESS.into(),
        provider: ADDRESS.into(),
        order_id: 5,
        zone: "eu/de/fra".into(),
        unit_rate: "555555555555555555555".into(),
        reclaim_s: 3_600,
    };
    let json = home.write(
        "bid.json",
        &format!(r#"{{"provider": "{ADDRESS}", "order_id": "5", "zone": "x", "reclaim_s": 3600}}"#),
    );
    let rest = ["--zone", "eu/de/fra", "--unit-rate", "2CREDIT/h"];
    let flags =
        [&["market", "create-bid", "--provider", ADDRESS, "--order-id", "5", "--reclaim-s", "1h"], &rest[..]]
            .concat();
    let from_json = [&["market", "create-bid", "--from-json", &json], &rest[..]].concat();
    let values = ["market", "create-bid", ADDRESS, "5", "eu/de/fra", "555555555555555555555", "3600"];
    for arguments in [&flags[..], &from_json[..], &values[..]] {
        assert_eq!(home.message(arguments), bid.encode_to_vec(), "{arguments:?}");
    }

    let send = MsgSend {
        from_address: ADDRESS.into(),
        to_address: "underbid1to".into(),
        amount: vec![Coin { denom: "uflop".into(), amount: "1500000".into() }],
    };
    assert_eq!(home.message(&["bank", "send", "underbid1to", "1.5FLOP"]), send.encode_to_vec());

    let close =
        MsgCloseLease { tenant: ADDRESS.into(), order_id: 5, reason: TenantReason::NotDelivered.into() };
    assert_eq!(
        home.message(&["market", "close-lease", "5", "--reason", "not-delivered"]),
        close.encode_to_vec()
    );
    assert_eq!(home.message(&["provider", "exit-provider"]).len(), ADDRESS.len() + 2);
}

#[test]
fn a_generated_transaction_is_signed_without_a_node() {
    let home = Home::with_alice();
    let offline = ["--from", "alice", "--keyring", "test", "--chain-id", "x-1"];
    let settle = ["tx", "market", "settle", "5", "--gas", "100000", "--fees", "250uflop", "--generate-only"];
    let unsigned = home.write("unsigned.json", &home.ok(&[&settle, &offline[..]].concat()));
    let place = ["tx", "sign", &unsigned, "--account-number", "7", "--sequence", "3"];
    let signed: Value = serde_json::from_str(&home.ok(&[&place, &offline[..]].concat())).unwrap();

    use base64::{Engine, prelude::BASE64_STANDARD};
    use underbid::client::{keys::Key, tx};
    let key = Key::from_mnemonic(MNEMONIC).unwrap();
    let message = proto::underbid::market::v1::MsgSettle { signer: ADDRESS.into(), order_id: 5 };
    let mut draft = tx::Draft::new(vec![tx::any(&message)]);
    draft.gas_limit = 100_000;
    draft.fee = vec![Coin { denom: "uflop".into(), amount: "250".into() }];
    let expected = draft.sign("x-1", &[tx::Signer { key: &key, account_number: 7, sequence: 3 }]);
    let expected = proto::cosmos::tx::v1beta1::TxRaw::decode(expected.bytes.as_slice()).unwrap();
    assert_eq!(signed["signatures"][0], BASE64_STANDARD.encode(&expected.signatures[0]));
    assert_eq!(signed["auth_info"]["signer_infos"][0]["sequence"], "3");

    let bad = home.write("bad.json", r#"{"body": {"messages": [{"@type": "/x.Y"}]}}"#);
    for command in ["sign", "broadcast"] {
        let from: &[&str] = if command == "sign" { &offline } else { &[] };
        let error = home.fails(1, &[&["tx", command, &bad], from].concat());
        assert!(error.contains("bad.json: expected a cosmos.tx.v1beta1.Tx in JSON"), "{error}");
    }
}

#[test]
fn a_message_that_can_not_be_is_refused_before_anything_is_asked_of_a_node() {
    let home = Home::with_alice();
    let other = home.write("other.json", r#"{"tenant": "underbid1other", "order_id": "5"}"#);
    for (arguments, expected) in [
        (
            &["market", "close-lease", "5", "--reason", "bored"][..],
            "reason: found \"bored\", expected done, not-delivered, quality",
        ),
        (&["market", "close-lease", "five"], "order_id: found \"five\", expected a number"),
        (&["market", "close-lease", "5", "done", "now"], "unexpected value \"now\""),
        (&["market", "cancel-order"], "expected the message's fields, or --from-json FILE"),
        (
            &["market", "cancel-order", "--from-json", &other],
            "the message names the signer \"underbid1other\"",
        ),
        (&["market", "cancel-order", "--from-json", "/nowhere"], "/nowhere: No such file"),
        (&["bank", "send", "x", "5flop5,5"], "100uflop"),
        (&["market", "bribe", "5"], "unrecognized subcommand 'bribe'"),
        (&["market", "settle", "5", "--gas", "lots"], "expected `auto` or a number"),
        (&["market", "settle", "5", "--fees", "5"], "as 2000uflop"),
    ] {
        let arguments = [&["tx"], arguments, &["--from", "alice", "--keyring", "test"]].concat();
        let output = home.run(&arguments);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
    let error = home.fails(1, &["tx", "market", "settle", "5", "--from", "nobody"]);
    assert!(error.contains("no key nobody in"), "{error}");
    let error = home.fails(2, &["tx", "market", "settle", "5", "--from", ADDRESS]);
    assert!(error.contains("expected a key's name"), "{error}");
}

#[test]
fn a_node_that_is_not_there_is_named() {
    let home = Home::with_alice();
    // Port 1 on loopback: nothing listens there.
    let node = ["--node", "http://127.0.0.1:1"];
    let tx = ["tx", "market", "settle", "5", "--from", "alice", "--keyring", "test", "--yes"];
    for arguments in [&["status"][..], &["query", "market", "order", "5"], &tx] {
        let error = home.fails(1, &[arguments, &node].concat());
        assert!(error.contains("no answer from the node at http://127.0.0.1:1"), "{error}");
    }
    assert!(home.fails(1, &["status", "--node", "127.0.0.1:1"]).contains("expected http://HOST:PORT"));
    assert_eq!(home.run(&["query", "market", "order", "5", "--height", "0"]).status.code(), Some(2));
}
