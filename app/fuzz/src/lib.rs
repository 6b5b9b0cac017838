//! What the fuzz targets share: a populated chain in memory, mutators that know the structure of what they change, and the
//! checks that every target ends with.

pub mod mutate;
pub mod proofs;
pub mod rng;
pub mod world;
