//! The value of a field from the words of a command line.

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{
    Reflection, short_value_name,
    units::{self, Unit},
};

const COIN: &str = "cosmos.base.v1beta1.Coin";
const SHARES: [&str; 2] = ["cosmos.bank.v1beta1.Input", "cosmos.bank.v1beta1.Output"];
const TEXT_MESSAGES: [&str; 2] = ["google.protobuf.Timestamp", "google.protobuf.Duration"];

/// A word is not a value of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found:?}, expected {expected}")]
pub struct Error {
    /// The field's name.
    pub field: String,
    /// What was written.
    pub found: String,
    /// What can be written.
    pub expected: String,
}

impl Reflection {
    /// Sets a field from the words that were written for it: one, or for a list any number.
    pub fn set_field(
        &self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        words: &[String],
    ) -> Result<(), Error> {
        let mut values = Vec::new();
        for word in words {
            let texts: Vec<&str> = if splits(field) { word.split(',').collect() } else { vec![word] };
            for text in texts {
                values.push(self.value(field, text).ok_or_else(|| self.wrong(field, text))?);
            }
        }
        if field.is_list() {
            sort_coins(field, &mut values).map_err(|()| self.wrong(field, &words.join(",")))?;
            message.set_field(field, Value::List(values));
            return Ok(());
        }
        match (values.pop(), values.is_empty()) {
            (Some(value), true) => message.set_field(field, value),
            _ => return Err(self.wrong(field, &words.join(" "))),
        }
        Ok(())
    }

    fn wrong(&self, field: &FieldDescriptor, found: &str) -> Error {
        let found = found.chars().take(200).collect();
        Error { field: field.name().into(), found, expected: self.expected(field) }
    }

    /// What can be written for a field, for help and errors.
    pub fn expected(&self, field: &FieldDescriptor) -> String {
        let one = match field.kind() {
            Kind::String => match Unit::of(&self.about_field(field)) {
                Some(unit) => unit.expected().into(),
                None => "text".into(),
            },
            Kind::Bytes => "hexadecimal digits, or base64:TEXT".into(),
            Kind::Bool => "true or false".into(),
            Kind::Uint32 | Kind::Uint64 if is_duration(field) => "seconds, or as 90s, 15m, 2h, 7d".into(),
            Kind::Uint32 | Kind::Fixed32 => "a number from 0 to 4294967295".into(),
            Kind::Uint64 | Kind::Fixed64 => "a number from 0 to 18446744073709551615".into(),
            Kind::Enum(kind) => value_names(&kind).join(", "),
            Kind::Message(message) => expected_message(&message),
            _ => "a number".into(),
        };
        match field.is_list() {
            true if splits(field) => format!("{one}; several with commas"),
            true => format!("{one}; several by repeating it"),
            false => one,
        }
    }

    fn value(&self, field: &FieldDescriptor, text: &str) -> Option<Value> {
        Some(match field.kind() {
            Kind::String => match Unit::of(&self.about_field(field)) {
                Some(unit) => Value::String(unit.parse(text)?),
                None => Value::String(text.to_owned()),
            },
            Kind::Bytes => Value::Bytes(bytes(text)?.into()),
            Kind::Bool => Value::Bool(text.parse().ok()?),
            Kind::Uint32 if is_duration(field) => Value::U32(u32::try_from(units::seconds(text)?).ok()?),
            Kind::Uint64 if is_duration(field) => Value::U64(units::seconds(text)?),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(text.parse().ok()?),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(text.parse().ok()?),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(text.parse().ok()?),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(text.parse().ok()?),
            Kind::Enum(kind) => Value::EnumNumber(enum_number(&kind, text)?),
            Kind::Message(message) => Value::Message(self.message_value(&message, text)?),
            Kind::Float | Kind::Double => return None,
        })
    }

    fn message_value(&self, message: &MessageDescriptor, text: &str) -> Option<DynamicMessage> {
        let name = message.full_name();
        if name == COIN {
            return coin(message, units::coin(text)?);
        }
        if let Some((address, coins)) = text.split_once('=')
            && SHARES.contains(&name)
            && !text.trim_start().starts_with('{')
        {
            return share(message, address, coins);
        }
        if TEXT_MESSAGES.contains(&name) {
            return self.from_json(message, &serde_json::Value::from(text).to_string()).ok();
        }
        self.from_json(message, text).ok()
    }
}

/// Lists of numbers and of coins can be written in one word.
fn splits(field: &FieldDescriptor) -> bool {
    let is_coin = matches!(field.kind(), Kind::Message(message) if message.full_name() == COIN);
    let is_number = !matches!(field.kind(), Kind::Message(_) | Kind::String | Kind::Bytes);
    field.is_list() && (is_coin || is_number)
}

/// The chain accepts coins only sorted by denom, each denom once.
fn sort_coins(field: &FieldDescriptor, values: &mut [Value]) -> Result<(), ()> {
    if !matches!(field.kind(), Kind::Message(message) if message.full_name() == COIN) {
        return Ok(());
    }
    let denom = |value: &Value| {
        let coin = value.as_message().and_then(|coin| coin.get_field_by_name("denom"));
        coin.and_then(|denom| denom.as_str().map(str::to_owned)).unwrap_or_default()
    };
    values.sort_by_key(denom);
    let is_distinct = values.windows(2).all(|pair| matches!(pair, [a, b] if denom(a) != denom(b)));
    if is_distinct { Ok(()) } else { Err(()) }
}

fn coin(message: &MessageDescriptor, (amount, denom): (u128, String)) -> Option<DynamicMessage> {
    let mut coin = DynamicMessage::new(message.clone());
    coin.try_set_field_by_name("denom", Value::String(denom)).ok()?;
    coin.try_set_field_by_name("amount", Value::String(amount.to_string())).ok()?;
    Some(coin)
}

/// One side of a MsgMultiSend, as `ADDRESS=COINS`.
fn share(message: &MessageDescriptor, address: &str, coins: &str) -> Option<DynamicMessage> {
    let Kind::Message(coin_type) = message.get_field_by_name("coins")?.kind() else { return None };
    let coins: Option<Vec<Value>> =
        units::coins(coins)?.into_iter().map(|each| coin(&coin_type, each).map(Value::Message)).collect();
    let mut share = DynamicMessage::new(message.clone());
    share.try_set_field_by_name("address", Value::String(address.trim().to_owned())).ok()?;
    share.try_set_field_by_name("coins", Value::List(coins?)).ok()?;
    Some(share)
}

fn expected_message(message: &MessageDescriptor) -> String {
    let name = message.full_name();
    match name {
        COIN => "an amount and its denom, as 100uflop or 1.5FLOP".into(),
        _ if SHARES.contains(&name) => "ADDRESS=COINS, as underbid1...=100uflop".into(),
        "google.protobuf.Timestamp" => "a time, as 2030-01-31T12:00:00Z".into(),
        "google.protobuf.Duration" => "a duration in seconds, as 90s".into(),
        _ => {
            let fields: Vec<String> = message.fields().map(|field| field.name().to_owned()).collect();
            format!("JSON or @FILE with the fields {}", fields.join(", "))
        }
    }
}

/// A number of seconds by the name of its field, as the conventions of proto/README.md have it.
pub fn is_duration(field: &FieldDescriptor) -> bool {
    field.name().ends_with("_s") && matches!(field.kind(), Kind::Uint32 | Kind::Uint64)
}

/// The names that an enum's values go by, the unspecified one left out.
pub fn value_names(kind: &EnumDescriptor) -> Vec<String> {
    let values = kind.values().filter(|value| value.number() != 0 || !value.name().ends_with("_UNSPECIFIED"));
    values.map(|value| short_value_name(kind, value.name())).collect()
}

fn enum_number(kind: &EnumDescriptor, text: &str) -> Option<i32> {
    let wanted = text.trim().to_ascii_lowercase().replace('_', "-");
    let by_name = kind.values().find(|value| {
        value.name().eq_ignore_ascii_case(text.trim()) || short_value_name(kind, value.name()) == wanted
    });
    let by_number = || kind.get_value(wanted.parse().ok()?);
    by_name.or_else(by_number).map(|value| value.number())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    match text.strip_prefix("base64:") {
        Some(base64) => BASE64_STANDARD.decode(base64).ok(),
        None => hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok(),
    }
}
