//! The market over the real modules on a store in memory.

mod attacks;
mod auctions;
mod genesis;
mod guards;
mod leases;
mod properties;
mod queries;
mod wire;
mod world;
