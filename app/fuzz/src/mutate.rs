//! Mutators that keep the structure of what they change, so that inputs get past the decoders. Every one of them also
//! leaves a share to libFuzzer's own mutations of bytes.

use std::sync::OnceLock;

use libfuzzer_sys::fuzzer_mutate;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use crate::rng::Rng;

/// Texts that mean something somewhere: amounts at the edges, denoms, zones, and no such things.
const TEXTS: [&str; 24] = [
    "",
    "0",
    "1",
    "2",
    "1000",
    "10000",
    "999999",
    "1000000",
    "40000000000",
    "1000000000000",
    "100000000000000000000",
    "1000000000000000000000000",
    "170141183460469231731687303715884105727",
    "340282366920938463463374607431768211455",
    "340282366920938463463374607431768211456",
    "-1",
    "01",
    "1e3",
    "uflop",
    "ucredit",
    "de/he/fra",
    "de",
    "*",
    "https://a.example",
];
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    3,
    5,
    8,
    12,
    20,
    30,
    60,
    300,
    1_000,
    500_000,
    1_000_000,
    604_800,
    0x7fff_ffff,
    u32::MAX as u64,
    u64::MAX,
];

/// Every message and query of the chain.
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap())
}

/// Changes an encoded message of this type.
pub fn message(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut rng = Rng::new(seed);
    let descriptor = pool().get_message_by_name(name).unwrap();
    match DynamicMessage::decode(descriptor, &data[..size]) {
        Ok(mut message) if !rng.one_in(6) => {
            for _ in 0..=rng.below(3) {
                change(&mut message, &mut rng);
            }
            replace(data, size, max_size, &message.encode_to_vec())
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}

/// Puts an output in the place of the input; one that is too long leaves it as it was.
pub fn replace(data: &mut [u8], size: usize, max_size: usize, output: &[u8]) -> usize {
    if output.is_empty() || output.len() > max_size.min(data.len()) {
        return size;
    }
    data[..output.len()].copy_from_slice(output);
    output.len()
}

fn change(message: &mut DynamicMessage, rng: &mut Rng) {
    let descriptor = message.descriptor();
    if descriptor.full_name() == "google.protobuf.Any" && !rng.one_in(12) {
        return change_any(message, rng);
    }
    let fields: Vec<FieldDescriptor> = descriptor.fields().collect();
    if fields.is_empty() {
        return;
    }
    let field = rng.pick(&fields).clone();
    if rng.one_in(16) {
        return message.clear_field(&field);
    }
    let mut value = message.get_field(&field).into_owned();
    match &mut value {
        Value::List(items) => change_list(items, &field, rng),
        Value::Map(items) => items.retain(|_: &MapKey, _| false),
        single => change_value(single, &field, rng),
    }
    message.set_field(&field, value);
}

fn change_list(items: &mut Vec<Value>, field: &FieldDescriptor, rng: &mut Rng) {
    let at = if items.is_empty() { 0 } else { rng.below(items.len()) };
    match rng.below(8) {
        0 if !items.is_empty() => drop(items.remove(at)),
        1 if !items.is_empty() => {
            let again = items[at].clone();
            items.push(again);
        }
        2 if items.len() > 1 => items.swap(at, 0),
        3 => items.push(Value::default_value(&field.kind())),
        _ if items.is_empty() => items.push(Value::default_value(&field.kind())),
        _ => change_value(&mut items[at], field, rng),
    }
}

fn change_value(value: &mut Value, field: &FieldDescriptor, rng: &mut Rng) {
    match value {
        Value::Bool(flag) => *flag = !*flag,
        Value::I32(number) => *number = (number_near(*number as u64, rng)) as i32,
        Value::I64(number) => *number = (number_near(*number as u64, rng)) as i64,
        Value::U32(number) => *number = (number_near(u64::from(*number), rng)) as u32,
        Value::U64(number) => *number = number_near(*number, rng),
        Value::EnumNumber(number) => *number = rng.below(8) as i32 - 1,
        Value::String(text) => change_text(text, rng),
        Value::Bytes(bytes) => {
            let inner = match field.name() {
                "body_bytes" => "cosmos.tx.v1beta1.TxBody",
                "auth_info_bytes" => "cosmos.tx.v1beta1.AuthInfo",
                _ => "",
            };
            *bytes = change_bytes(bytes.to_vec(), inner, rng).into();
        }
        Value::Message(inner) => change(inner, rng),
        _ => {}
    }
}

fn number_near(number: u64, rng: &mut Rng) -> u64 {
    match rng.below(6) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => number ^ (1 << rng.below(64)),
        3 => rng.below(40) as u64,
        _ => *rng.pick(&NUMBERS),
    }
}

fn change_text(text: &mut String, rng: &mut Rng) {
    *text = match rng.below(8) {
        0..3 => sim::text(rng.pick::<&str>(&sim::PEOPLE)),
        3 => kernel::Address::of_module(rng.pick::<&str>(underbid::modules::MODULE_ACCOUNTS)).to_string(),
        4 => match text.parse::<u128>() {
            Ok(number) if rng.one_in(2) => number.wrapping_add(1).to_string(),
            Ok(number) => number.wrapping_sub(1).to_string(),
            Err(_) => format!("{text}{text}"),
        },
        5 => text.chars().rev().collect(),
        6 => format!("{text}{}", char::from_u32(rng.below(0x300) as u32).unwrap_or('x')),
        _ => (*rng.pick(&TEXTS)).to_owned(),
    };
}

fn change_bytes(mut bytes: Vec<u8>, inner: &str, rng: &mut Rng) -> Vec<u8> {
    if let Some(descriptor) = pool().get_message_by_name(inner)
        && !rng.one_in(8)
        && let Ok(mut message) = DynamicMessage::decode(descriptor, bytes.as_slice())
    {
        change(&mut message, rng);
        return message.encode_to_vec();
    }
    match rng.below(4) {
        0 => bytes.resize(*rng.pick(&[0, 1, 20, 32, 33, 64, 65]), 7),
        1 => bytes.extend_from_within(..),
        _ if bytes.is_empty() => bytes.push(1),
        _ => {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
    }
    bytes
}

/// Changes the message inside, or puts another type's name on it.
fn change_any(any: &mut DynamicMessage, rng: &mut Rng) {
    let text = any.get_field_by_name("type_url").and_then(|value| value.as_str().map(str::to_owned));
    let url = text.unwrap_or_default();
    let inner = pool().get_message_by_name(url.trim_start_matches('/'));
    let bytes =
        any.get_field_by_name("value").and_then(|value| value.as_bytes().cloned()).unwrap_or_default();
    match inner.map(|descriptor| DynamicMessage::decode(descriptor, bytes)) {
        Some(Ok(mut message)) if !rng.one_in(10) => {
            change(&mut message, rng);
            any.set_field_by_name("value", Value::Bytes(message.encode_to_vec().into()));
        }
        _ => {
            let descriptor = rng.pick(messages());
            any.set_field_by_name("type_url", Value::String(format!("/{}", descriptor.full_name())));
        }
    }
}

/// The types of all messages that a transaction can carry.
fn messages() -> &'static [MessageDescriptor] {
    static MESSAGES: OnceLock<Vec<MessageDescriptor>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let services = pool().services().filter(|service| service.name() == "Msg");
        services
            .flat_map(|service| service.methods().map(|method| method.input()).collect::<Vec<_>>())
            .collect()
    })
}

/// Parts with two bytes of length before each; the last may be short.
pub fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (part, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        parts.push(part.to_vec());
        bytes = rest;
    }
    parts
}

/// The reverse of [`split`].
pub fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |part: &Vec<u8>| {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        [&length.to_le_bytes(), &part[..usize::from(length)]].concat()
    };
    parts.iter().flat_map(with_length).collect()
}

/// Changes a random place of a JSON document.
pub fn json(value: &mut serde_json::Value, rng: &mut Rng) {
    use serde_json::Value as Json;
    match value {
        Json::Object(fields) if !fields.is_empty() && !rng.one_in(30) => {
            let at = rng.below(fields.len());
            let name = fields.keys().nth(at).cloned().unwrap_or_default();
            if rng.one_in(40) {
                fields.remove(&name);
            } else if let Some(inner) = fields.get_mut(&name) {
                json(inner, rng);
            }
        }
        Json::Array(items) if !items.is_empty() && !rng.one_in(20) => {
            let at = rng.below(items.len());
            match rng.below(8) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => json(&mut items[at], rng),
            }
        }
        Json::String(text) if !rng.one_in(20) => change_text(text, rng),
        Json::Number(number) if !rng.one_in(20) => {
            *value = number_near(number.as_u64().unwrap_or_default(), rng).into();
        }
        Json::Bool(flag) => *flag = !*flag,
        other => {
            *other = rng.pick(&[Json::Null, Json::from(0), Json::from(""), Json::Array(Vec::new())]).clone()
        }
    }
}
