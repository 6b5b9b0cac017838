//! Messages as text for people: money, time and names as they say them, lists as tables.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use prost_types::Any;
use proto::cosmos::base::v1beta1::Coin;
use serde_json::json;

use crate::client::{
    reflect::{
        Reflection, parse, short_value_name,
        units::{self, Unit},
    },
    rpc::Event,
};

const COIN: &str = "cosmos.base.v1beta1.Coin";
const ANY: &str = "google.protobuf.Any";
const PAGE_RESPONSE: &str = "cosmos.base.query.v1beta1.PageResponse";
/// Lists of messages with more fields than this are shown as blocks, unless their columns are chosen below.
const COLUMNS_MAX: usize = 8;
/// Three years: what is larger is no duration but a time.
const DURATION_S_MAX: u64 = 100_000_000;
/// Events of ours; the standard ones repeat what the balances say.
const OUR_EVENTS: &str = "underbid.";

/// The columns of the lists that people look at most; the rest is shown by the query for one.
const COLUMNS: [(&str, &[&str]); 4] = [
    (
        "underbid.market.v1.Order",
        &[
            "id",
            "state",
            "class_id",
            "count",
            "max_unit_rate",
            "best",
            "bid_count",
            "round",
            "close_height",
            "tenant",
        ],
    ),
    (
        "underbid.market.v1.Bid",
        &["order_id", "provider", "zone", "unit_rate", "multiplier_ppm", "eff", "seq", "lock"],
    ),
    (
        "underbid.market.v1.Lease",
        &[
            "order_id",
            "round",
            "state",
            "provider",
            "zone",
            "count",
            "unit_rate",
            "end_at",
            "gross",
            "close_reason",
        ],
    ),
    (
        "underbid.provider.v1.Class",
        &["id", "name", "gpus", "vram_mib", "device_price_usd", "ref_price_day", "active"],
    ),
];

/// Rows under a head, with two spaces between columns.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(|name| (*name).to_owned()).collect()];
    lines.extend(rows);
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let text = lines.iter().map(|line| {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    });
    text.collect::<Vec<_>>().join("\n")
}

/// Names and values below one another.
pub(super) fn pairs<N: AsRef<str>>(pairs: &[(N, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.as_ref().chars().count()).max().unwrap_or_default();
    let lines =
        pairs.iter().map(|(name, value)| format!("{:<width$}  {value}", name.as_ref()).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A message, field by field.
pub(super) fn message(reflection: &Reflection, message: &DynamicMessage) -> String {
    if let Some(inner) = unpacked(reflection, message) {
        return format!("{}\n{}", inner.descriptor().full_name(), indent(&self::message(reflection, &inner)));
    }
    let descriptor = message.descriptor();
    let fields: Vec<FieldDescriptor> = descriptor.fields().filter(|field| is_shown(message, field)).collect();
    // A response that holds one thing is that thing.
    if let [field] = fields.as_slice()
        && let Value::Message(inner) = message.get_field(field).as_ref()
        && !is_one_line(field)
    {
        return self::message(reflection, inner);
    }
    let mut parts: Vec<String> = Vec::new();
    let mut lines: Vec<(String, String)> = Vec::new();
    for field in &fields {
        let value = message.get_field(field);
        let part = match value.as_ref() {
            Value::Message(page) if page.descriptor().full_name() == PAGE_RESPONSE => page_footer(page),
            Value::Message(inner) if !is_one_line(field) => {
                format!("{}\n{}", field.name(), indent(&self::message(reflection, inner)))
            }
            Value::List(list) if matches!(field.kind(), Kind::Message(_)) && !is_one_line(field) => {
                list_of(reflection, field, list)
            }
            value => {
                lines.push((field.name().to_owned(), long_cell(reflection, field, value)));
                continue;
            }
        };
        parts.push(pairs(&std::mem::take(&mut lines)));
        parts.push(part);
    }
    parts.push(pairs(&lines));
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { "(empty)".into() } else { parts.join("\n") }
}

/// What an Any holds, where its type is known.
fn unpacked(reflection: &Reflection, message: &DynamicMessage) -> Option<DynamicMessage> {
    if message.descriptor().full_name() != ANY {
        return None;
    }
    let any = message.transcode_to::<Any>().ok()?;
    reflection.decode_any(&any).ok()
}

/// What is absent is not shown; what is zero is.
fn is_shown(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    !field.supports_presence() || message.has_field(field)
}

/// Messages that fit a line, and lists of them.
fn is_one_line(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => {
            message.full_name() == COIN
                || message.full_name().starts_with("google.protobuf.") && message.full_name() != ANY
        }
        _ => true,
    }
}

fn page_footer(page: &DynamicMessage) -> String {
    let bytes = |name: &str| page.get_field_by_name(name).and_then(|value| value.as_bytes().map(hex::encode));
    let total = page.get_field_by_name("total").and_then(|value| value.as_u64()).unwrap_or_default();
    let mut lines = Vec::new();
    if total > 0 {
        lines.push(format!("total {total}"));
    }
    if let Some(key) = bytes("next_key").filter(|key| !key.is_empty()) {
        lines.push(format!("more with --page-key {key}"));
    }
    lines.join("\n")
}

fn list_of(reflection: &Reflection, field: &FieldDescriptor, list: &[Value]) -> String {
    let items: Vec<&DynamicMessage> = list.iter().filter_map(Value::as_message).collect();
    let (Kind::Message(kind), false) = (field.kind(), items.is_empty()) else {
        return format!("{}: none", field.name());
    };
    if let Some(columns) = columns(&kind) {
        let head: Vec<String> =
            columns.iter().map(|column| column.name().replace('_', " ").to_uppercase()).collect();
        let rows = items.iter().map(|item| {
            columns
                .iter()
                .map(|column| match is_shown(item, column) {
                    true => short_cell(reflection, column, item.get_field(column).as_ref()),
                    false => "-".into(),
                })
                .collect()
        });
        return table(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows.collect());
    }
    let blocks = items.iter().enumerate().map(|(index, item)| {
        format!("{} {}\n{}", field.name(), index + 1, indent(&message(reflection, item)))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// The columns of a list of such messages; none where they are shown as blocks.
fn columns(kind: &prost_reflect::MessageDescriptor) -> Option<Vec<FieldDescriptor>> {
    if let Some((_, names)) = COLUMNS.iter().find(|(name, _)| *name == kind.full_name()) {
        return Some(names.iter().filter_map(|name| kind.get_field_by_name(name)).collect());
    }
    let fields: Vec<FieldDescriptor> = kind.fields().collect();
    (fields.len() <= COLUMNS_MAX && fields.iter().all(is_one_line)).then_some(fields)
}

/// A value with its raw form and what people call it.
fn long_cell(reflection: &Reflection, field: &FieldDescriptor, value: &Value) -> String {
    cell(reflection, field, value, true)
}

/// A value as people call it, for a table.
fn short_cell(reflection: &Reflection, field: &FieldDescriptor, value: &Value) -> String {
    let text = cell(reflection, field, value, false);
    if text.is_empty() { "-".into() } else { text }
}

fn cell(reflection: &Reflection, field: &FieldDescriptor, value: &Value, is_long: bool) -> String {
    let both = |raw: String, readable: Option<String>| match readable {
        Some(readable) if is_long => format!("{raw} ({readable})"),
        Some(readable) => readable,
        None => raw,
    };
    match value {
        Value::List(list) => {
            let cells: Vec<String> = list.iter().map(|each| cell(reflection, field, each, is_long)).collect();
            cells.join(", ")
        }
        Value::String(text) => {
            let unit = Unit::of(&reflection.about_field(field));
            both(text.clone(), unit.and_then(|unit| unit.readable(text)))
        }
        Value::U32(number) => both(number.to_string(), readable_number(field, u64::from(*number))),
        Value::U64(number) => both(number.to_string(), readable_number(field, *number)),
        Value::Bytes(bytes) => hex::encode(bytes),
        Value::EnumNumber(number) => enum_name(field, *number),
        Value::Message(inner) => message_cell(reflection, inner, is_long),
        Value::Bool(yes) => yes.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Map(map) => {
            let keys = map.keys().map(|key| match key {
                MapKey::String(text) => text.clone(),
                other => format!("{other:?}"),
            });
            keys.collect::<Vec<_>>().join(", ")
        }
    }
}

fn readable_number(field: &FieldDescriptor, number: u64) -> Option<String> {
    match () {
        // Times have names like durations, and are so much larger.
        () if parse::is_duration(field) && (60..DURATION_S_MAX).contains(&number) => {
            Some(units::readable_seconds(number))
        }
        () if field.name().ends_with("_ppm") => {
            let percent = format!("{}.{:04}", number / 10_000, number % 10_000);
            Some(format!("{} %", percent.trim_end_matches('0').trim_end_matches('.')))
        }
        () => None,
    }
}

fn enum_name(field: &FieldDescriptor, number: i32) -> String {
    let Kind::Enum(kind) = field.kind() else { return number.to_string() };
    match kind.get_value(number) {
        Some(value) if number == 0 && value.name().ends_with("_UNSPECIFIED") => "-".into(),
        Some(value) => short_value_name(&kind, value.name()),
        None => number.to_string(),
    }
}

fn message_cell(reflection: &Reflection, message: &DynamicMessage, is_long: bool) -> String {
    let descriptor = message.descriptor();
    if descriptor.full_name() == COIN {
        let text = |name: &str| {
            message
                .get_field_by_name(name)
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        return units::readable_coin(&text("amount"), &text("denom"));
    }
    if descriptor.full_name().starts_with("google.protobuf.") {
        return reflection
            .to_json(message)
            .map_or_else(|e| e.to_string(), |json| unquoted(&json.to_string()));
    }
    let cells = descriptor
        .fields()
        .filter(|field| is_shown(message, field))
        .map(|field| cell(reflection, &field, message.get_field(&field).as_ref(), is_long));
    cells.collect::<Vec<_>>().join(" ")
}

fn unquoted(text: &str) -> String {
    text.trim_matches('"').to_owned()
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// What a transaction did: its responses, and those of its events that are ours.
pub(super) fn effects(reflection: &Reflection, responses: &[Any], events: &[Event]) -> String {
    let mut text = String::new();
    for any in responses {
        let name = any.type_url.trim_start_matches('/');
        let body = match reflection.decode_any(any) {
            Ok(response) if response.descriptor().fields().len() == 0 => continue,
            Ok(response) => message(reflection, &response),
            Err(error) => error.to_string(),
        };
        text.push_str(&format!("\n\n{name}\n{}", indent(&body)));
    }
    let ours: Vec<&Event> = events.iter().filter(|event| event.kind.starts_with(OUR_EVENTS)).collect();
    if !ours.is_empty() {
        text.push_str("\n\nevents");
    }
    for event in ours {
        let attributes = event.attributes.iter().filter(|attribute| attribute.key != "msg_index");
        let facts: Vec<String> =
            attributes.map(|attribute| format!("{}={}", attribute.key, unquoted(&attribute.value))).collect();
        text.push_str(&format!("\n  {} {}", event.kind, facts.join(" ")));
    }
    text
}

/// A response as JSON with its type; one of an unknown type keeps its bytes.
pub(super) fn message_json(reflection: &Reflection, any: &Any) -> serde_json::Value {
    let json = reflection.decode_any(any).and_then(|message| reflection.to_json(&message));
    match json {
        Ok(serde_json::Value::Object(fields)) => {
            let mut typed = serde_json::Map::from_iter([("@type".to_owned(), json!(any.type_url))]);
            typed.extend(fields);
            typed.into()
        }
        _ => json!({ "@type": any.type_url, "value": hex::encode(&any.value) }),
    }
}

/// Coins for people.
pub(super) fn coins(coins: &[Coin]) -> String {
    if coins.is_empty() {
        return "none".into();
    }
    coins.iter().map(|coin| units::readable_coin(&coin.amount, &coin.denom)).collect::<Vec<_>>().join(", ")
}

/// Coins in JSON.
pub(super) fn coins_json(coins: &[Coin]) -> serde_json::Value {
    coins.iter().map(|coin| json!({ "denom": coin.denom, "amount": coin.amount })).collect()
}
