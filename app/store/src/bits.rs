//! Hashes as strings of 256 bits, the most significant bit of the first byte first.

use std::cmp::Ordering;

use crate::hash::Hash;

/// The first bit in which two hashes differ; `None` if they are equal.
pub(crate) fn first_difference(a: &Hash, b: &Hash) -> Option<u8> {
    let (index, (x, y)) = a.iter().zip(b).enumerate().find(|(_, (x, y))| x != y)?;
    let bit = u8::try_from((x ^ y).leading_zeros()).ok()?;
    u8::try_from(index).ok()?.checked_mul(8)?.checked_add(bit)
}

/// Whether a bit is set.
pub(crate) fn is_set(hash: &Hash, bit: u8) -> bool {
    let mask = 0x80_u8.wrapping_shr(u32::from(bit % 8));
    hash.get(usize::from(bit / 8)).is_some_and(|byte| byte & mask != 0)
}

/// Compares the first `bits` bits of two hashes.
pub(crate) fn compare_prefix(a: &Hash, b: &Hash, bits: u8) -> Ordering {
    match first_difference(a, b) {
        Some(bit) if bit < bits => a.cmp(b),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_found() {
        for bit in 0..=255_u8 {
            let mut other = [0; 32];
            other[usize::from(bit / 8)] = 0x80 >> (bit % 8);
            assert_eq!(first_difference(&[0; 32], &other), Some(bit));
            assert!(is_set(&other, bit) && !is_set(&[0; 32], bit));
            assert_eq!(compare_prefix(&[0; 32], &other, bit), Ordering::Equal);
            if let Some(longer) = bit.checked_add(1) {
                assert_eq!(compare_prefix(&[0; 32], &other, longer), Ordering::Less);
                assert_eq!(compare_prefix(&other, &[0; 32], longer), Ordering::Greater);
            }
        }
        assert_eq!(first_difference(&[7; 32], &[7; 32]), None);
    }
}
