use proptest::prelude::*;

use super::*;
use crate::{enumeration, one_of, record, time::Billing};

enumeration! { /// A kind.
    enum Kind { A = 1, B = 2 }
}
record! {
    /// Leaf.
    #[derive(Clone, Debug, PartialEq)]
    struct Leaf { name: String = 1, amount: Amount = 2 }
    /// All kinds of fields.
    #[derive(Clone, Debug, PartialEq)]
    struct Whole {
        id: u64 = 1, small: u16 = 2, flag: bool = 3, at: At<Billing> = 4, maybe: Option<u32> = 5, leaf: Leaf = 6,
        leaves: Vec<Leaf> = 7, owner: Address = 8, parts: [u32; 5] = 9, kind: Kind = 10, choice: Choice = 11,
        rate: u128 = 12, last: [u8; 32] = 15, amounts: [Amount; 2] = 16,
    }
}
one_of! { /// A choice.
    #[derive(Clone, Debug, PartialEq)]
    enum Choice { Left(Leaf) = 1, Right(u64) = 2 }
}

fn sample() -> Whole {
    let leaf = Leaf { name: "x".into(), amount: Amount::from(7) };
    Whole {
        id: 300,
        small: 0,
        flag: true,
        at: At::new(9),
        maybe: Some(0),
        leaf: leaf.clone(),
        leaves: vec![leaf.clone(), leaf],
        owner: Address([3; 20]),
        parts: [0, 1, 128, 70000, u32::MAX],
        kind: Kind::B,
        choice: Choice::Right(0),
        rate: 5,
        last: [1; 32],
        amounts: [Amount::ZERO, Amount::from(3)],
    }
}

#[test]
fn a_record_reads_what_it_writes() {
    let whole = sample();
    assert_eq!(Whole::from_message(&whole.to_message()), Some(whole));
}

/// A length takes one byte, or more where the message inside is longer.
#[test]
fn nested_messages_of_any_length_are_written_as_protobuf_says() {
    for letters in [0, 1, 100, 123, 124, 125, 126, 127, 128, 200, 16_380, 16_384, 20_000] {
        let leaf = Leaf { name: "x".repeat(letters), amount: Amount::ZERO };
        let body = leaf.to_message();
        let mut expected = vec![0x0a];
        encode_varint(length(body.len()), &mut expected);
        expected.extend(&body);
        let mut written = Vec::new();
        Choice::Left(leaf.clone()).write(1, &mut written);
        let mut inside = Reader::new(&written);
        assert!(inside.take_key(1, WireType::LengthDelimited));
        assert_eq!(inside.bytes(), Some(expected.as_slice()), "{letters}");
        let whole = Whole { leaves: vec![leaf; 3], ..sample() };
        assert_eq!(Whole::from_message(&whole.to_message()), Some(whole));
    }
}

proptest! {
    #[test]
    fn reading_accepts_only_what_writing_produces(at in 0usize..400, byte: u8, cut in 0usize..400) {
        let bytes = sample().to_message();
        let mut changed = bytes.clone();
        if let Some(b) = changed.get_mut(at) { *b = byte; }
        changed.truncate(cut.max(1));
        if let Some(read) = Whole::from_message(&changed) {
            prop_assert_eq!(read.to_message(), changed);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        if let Some(read) = Whole::from_message(&bytes) {
            prop_assert_eq!(read.to_message(), bytes);
        }
    }
}

#[test]
fn non_canonical_forms_are_refused() {
    assert!(Leaf::from_message(&[]).is_some());
    assert!(Leaf::from_message(&[0x0a, 0]).is_none(), "a default written out");
    assert!(Leaf::from_message(&[0x0a, 0x81, 0x00, b'x']).is_none(), "a long varint");
    assert!(Leaf::from_message(&[0x0a, 1, b'x', 0x0a, 1, b'x']).is_none(), "a field twice");
    assert!(Leaf::from_message(&[0x1a, 1, b'x']).is_none(), "an unknown field");
    assert!(Leaf::from_message(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_none(), "a length beyond the input");
}
