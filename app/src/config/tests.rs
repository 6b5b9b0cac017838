//! Which source wins, and what a wrong one says.

use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new(file: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("config")).unwrap();
        fs::write(home.path().join("config/app.toml"), file).unwrap();
        Self(home)
    }

    fn load(&self, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, Error> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let settings = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Config::from_sources(Flags { home: Some(self.0.path().into()), settings }, environment)
    }

    fn error(&self, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
        self.load(environment, flags).unwrap_err().to_string()
    }
}

fn source(config: &Config, key: &str) -> String {
    config.provenance().iter().find(|setting| setting.key == key).unwrap().source.clone()
}

#[test]
fn an_empty_home_has_the_defaults() {
    let home = tempfile::tempdir().unwrap();
    let flags = Flags { home: Some(home.path().into()), settings: vec![] };
    let config = Config::from_sources(flags, BTreeMap::new()).unwrap();
    assert_eq!(config.abci, server::Address::Unix(home.path().join("abci.sock")));
    assert_eq!(config.grpc, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!((config.metrics, config.history_heights), (None, 256));
    assert_eq!((config.prefix.as_str(), config.node.as_str()), ("underbid", "http://127.0.0.1:26657"));
    assert_eq!(config.keyring, Storage::Encrypted);
    assert!(config.provenance().iter().skip(1).all(|setting| setting.source == "default"));
}

#[test]
fn file_environment_and_flags_win_in_this_order() {
    let home = Home::new(
        "grpc = \"127.0.0.1:1\"\nmetrics = \"127.0.0.1:2\"\nhistory_heights = 3\nlog_format = \"json\"",
    );
    let environment =
        [("UNDERBID_METRICS", "127.0.0.1:20"), ("UNDERBID_HISTORY_HEIGHTS", "30"), ("OTHER", "x")];
    let config = home.load(&environment, &[("history_heights", "300")]).unwrap();
    assert_eq!(config.grpc, Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(config.metrics, Some("127.0.0.1:20".parse().unwrap()));
    assert_eq!((config.history_heights, config.log_format), (300, LogFormat::Json));
    assert!(source(&config, "grpc").ends_with("config/app.toml"));
    assert_eq!(source(&config, "metrics"), "environment variable UNDERBID_METRICS");
    assert_eq!(source(&config, "history_heights"), "flag --history-heights");
    assert_eq!(source(&config, "node"), "default");
    assert_eq!(source(&config, "home"), "flag --home");
}

#[test]
fn text_that_looks_like_a_number_stays_text_and_nothing_turns_a_server_off() {
    let config = Home::new("").load(&[("UNDERBID_CHAIN_ID", "7"), ("UNDERBID_GRPC", "")], &[]).unwrap();
    assert_eq!((config.chain_id.as_deref(), config.grpc), (Some("7"), None));
}

#[test]
fn an_unknown_key_is_named_with_its_source() {
    let error = Home::new("gprc = \"127.0.0.1:1\"").error(&[], &[]);
    assert!(error.contains("app.toml: unknown key `gprc`, expected one of chain_id"), "{error}");
    let error = Home::new("").error(&[("UNDERBID_GPRC", "x")], &[]);
    assert!(error.contains("environment variable UNDERBID_GPRC: unknown key `gprc`"), "{error}");
    Home::new("").load(&[("UNDERBID_PASSPHRASE", "x"), ("UNDERBID_HOME", "/nowhere")], &[]).unwrap();
}

#[test]
fn a_wrong_value_is_named_with_its_key_and_source() {
    for (file, expected) in [
        (
            "history_heights = \"many\"",
            "app.toml: key `history_heights`: found the text \"many\", expected a whole number",
        ),
        ("history_heights = 0", "app.toml: key `history_heights`: found 0, expected 1 to 1000000"),
        ("history_heights = -1", "key `history_heights`: found the number -1, expected a whole number"),
        ("history_heights = [1]", "key `history_heights`: found a list, expected a whole number"),
        ("grpc = 9090", "key `grpc`: found the number 9090, expected a string"),
        ("grpc = \"localhost\"", "key `grpc`: found \"localhost\", expected HOST:PORT"),
        ("log_format = \"xml\"", "key `log_format`: found \"xml\", expected text or json"),
        ("log_level = \"a=b=c\"", "key `log_level`: found \"a=b=c\", expected a level: error, warn, info"),
        ("log_level = \"inof\"", "key `log_level`: found \"inof\", expected a level"),
        ("log_level = \"\"", "key `log_level`: found \"\", expected a level"),
        ("log_level = \"info,store\"", "key `log_level`: found \"store\", expected a level"),
        ("log_level = \"info,store=\"", "key `log_level`: found \"store=\", expected a level"),
        ("log_level = \"store=lots,info\"", "key `log_level`: found \"store=lots\", expected a level"),
        ("keyring = \"os\"", "key `keyring`: found \"os\", expected encrypted or test"),
        ("abci = \"/tmp/x\"", "key `abci`"),
        ("node = \"ftp://x\"", "key `node`: found \"ftp://x\", expected http://HOST:PORT"),
        ("grpc", "expected TOML"),
    ] {
        let error = Home::new(file).error(&[], &[]);
        assert!(error.contains(expected), "{file}: {error}");
    }
    let error = Home::new("").error(&[("UNDERBID_HISTORY_HEIGHTS", "x")], &[]);
    assert!(
        error.starts_with("environment variable UNDERBID_HISTORY_HEIGHTS: key `history_heights`"),
        "{error}"
    );
    let error = Home::new("").error(&[], &[("grpc", "x")]);
    assert!(error.starts_with("flag --grpc: key `grpc`"), "{error}");
}

#[test]
fn a_level_can_be_said_by_part() {
    for level in ["error", "INFO", "off", "info,store=debug", "store=debug,warn,underbid::grpc=off"] {
        assert_eq!(Home::new("").load(&[], &[("log_level", level)]).unwrap().log_level, level);
    }
}

#[test]
fn a_socket_path_that_the_system_can_not_hold_is_refused() {
    let address = |bytes: usize| format!("unix:///{}", "x".repeat(bytes - 1));
    Home::new("").load(&[], &[("abci", &address(107))]).unwrap();
    let error = Home::new("").error(&[], &[("abci", &address(108))]);
    assert!(error.contains("the socket's path has 108 bytes, expected at most 107"), "{error}");
}

#[test]
fn the_chain_id_comes_from_the_genesis_unless_it_is_set() {
    let home = Home::new("");
    assert!(matches!(home.load(&[], &[]).unwrap().chain_id(), Err(Error::NoChainId { .. })));
    fs::write(home.0.path().join("config/genesis.json"), r#"{"chain_id": "genesis-1", "app_state": {}}"#)
        .unwrap();
    assert_eq!(home.load(&[], &[]).unwrap().chain_id().unwrap(), "genesis-1");
    assert_eq!(home.load(&[], &[("chain_id", "flag-1")]).unwrap().chain_id().unwrap(), "flag-1");
}

#[test]
fn the_template_names_every_key_with_its_default_and_sets_none() {
    let template = template(&[]);
    assert!(template.lines().all(|line| line.is_empty() || line.starts_with('#')));
    let home = Home::new(&template);
    assert!(
        home.load(&[], &[]).unwrap().provenance().iter().skip(1).all(|setting| setting.source == "default")
    );
    let uncommented: Vec<&str> = template
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| KEYS.iter().any(|key| line.starts_with(&format!("{} =", key.name))))
        .filter(|line| !line.contains("<home>"))
        .collect();
    assert_eq!(uncommented.len(), KEYS.len() - 1);
    Home::new(&uncommented.join("\n")).load(&[], &[]).unwrap();
}

#[test]
fn a_new_home_keeps_what_flags_gave() {
    let home = Home::new("");
    let given =
        home.load(&[("UNDERBID_METRICS", "127.0.0.1:1")], &[("prefix", "other"), ("grpc", "")]).unwrap();
    let config = Home::new(&template(given.provenance())).load(&[], &[]).unwrap();
    assert_eq!((config.prefix.as_str(), config.grpc, config.metrics), ("other", None, None));
    assert!(source(&config, "prefix").ends_with("config/app.toml"));
}
