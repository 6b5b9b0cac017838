//! How the program's allocator treats memory that is free.

#![allow(unsafe_code, reason = "the allocator's options are behind a foreign function, which no crate wraps")]

use std::ffi::c_long;

/// `mi_option_purge_delay` of mimalloc 3: for how many milliseconds memory stays with the process after it is freed.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// A block frees at its end what the next one needs, a second later or so. Each page that was given back meanwhile has to be
/// found and cleared again by the system: with 10,000 bids a block that was a seventh of the whole processor time.
const KEEP_MS: c_long = 10_000;

/// Lets the process keep what it frees for some seconds, from now on.
pub fn keep_freed_memory() {
    // SAFETY: the call stores a number in a table of the allocator, under no condition but that the option exists.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options are known by numbers, which another version of mimalloc may give anew.
    #[test]
    fn the_option_is_the_purge_delay() {
        // SAFETY: reading an option has no condition.
        let default = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(default, 1_000, "expected the default of mimalloc 3's purge_delay");
    }
}
