//! The market over the real modules on a store in memory.

mod attacks;
mod auctions;
mod guards;
mod leases;
mod world;
