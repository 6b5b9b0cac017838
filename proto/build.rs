//! Compiles every `.proto` file of this folder, without protoc, to Rust types and to one descriptor set.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

/// The folders that hold `.proto` files; import paths start here.
const ROOTS: [&str; 4] = ["amino", "cosmos", "tendermint", "underbid"];

fn main() -> Result<(), Box<dyn Error>> {
    let base = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    for root in ROOTS {
        println!("cargo:rerun-if-changed={root}");
        find(&base.join(root), &mut files)?;
    }
    files.sort();

    let mut compiler = protox::Compiler::new([&base])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // The typed descriptor set has no place for our options (signer, amino name); only the encoder keeps them.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    prost_build::Config::new()
        .btree_map(["."])
        .enable_type_names()
        .include_file("packages.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
