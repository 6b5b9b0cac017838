//! Words to and from the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use age::secrecy::SecretString;

use super::Failure;

/// The variable from which scripts give the keyring's passphrase.
const PASSPHRASE_VARIABLE: &str = "UNDERBID_PASSPHRASE";
/// What is read from standard input or a file named on the command line is at most so long.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Prints a result. A reader that has left, as `head` does, ends the command in silence.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.trim_end().as_bytes()).and_then(|()| out.write_all(b"\n"));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure { message: String::new(), code: 1 })
        }
        done => Ok(done?),
    }
}

/// Prints a JSON document.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(value)?)
}

/// The passphrase that opens a key.
pub(super) fn passphrase(prompt: &str) -> Result<SecretString, Failure> {
    match std::env::var(PASSPHRASE_VARIABLE) {
        Ok(passphrase) => Ok(passphrase.into()),
        Err(_) => Ok(hidden(prompt, PASSPHRASE_VARIABLE)?.into()),
    }
}

/// The passphrase of a key that is stored now: asked twice at a terminal.
pub(super) fn new_passphrase(prompt: &str) -> Result<SecretString, Failure> {
    if let Ok(passphrase) = std::env::var(PASSPHRASE_VARIABLE) {
        return Ok(passphrase.into());
    }
    let first = hidden(prompt, PASSPHRASE_VARIABLE)?;
    if hidden("The same again: ", PASSPHRASE_VARIABLE)? != first {
        return Err(Failure::failed("the two passphrases differ"));
    }
    Ok(first.into())
}

/// A line that is not shown while it is typed. `otherwise` is how to give it where there is no terminal.
pub(super) fn hidden(prompt: &str, otherwise: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map_err(|_| Failure::failed(format!("no terminal to ask at: expected {otherwise}")))
}

/// Whether the person agrees. Without a terminal nobody can.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(Failure::usage("no terminal to confirm at: expected --yes"));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The text of a file, or of standard input where its name is `-`.
pub(super) fn read_text(name: &str) -> Result<String, Failure> {
    let failed = |e: io::Error| Failure::failed(format!("{name}: {e}"));
    let mut text = String::new();
    let read = match name {
        "-" => read_limited(io::stdin().lock(), &mut text),
        path => std::fs::File::open(path).and_then(|file| read_limited(file, &mut text)),
    };
    read.map_err(failed)?;
    Ok(text)
}

fn read_limited(reader: impl io::Read, text: &mut String) -> io::Result<()> {
    let read = io::Read::read_to_string(&mut io::Read::take(reader, INPUT_BYTES_MAX + 1), text)?;
    if u64::try_from(read).is_ok_and(|read| read > INPUT_BYTES_MAX) {
        return Err(io::Error::other(format!("expected at most {INPUT_BYTES_MAX} bytes")));
    }
    Ok(())
}
