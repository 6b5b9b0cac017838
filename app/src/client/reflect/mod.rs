//! Messages and queries by name: what the descriptors say about them, with their comments, and their JSON.
//!
//! JSON is proto3's as Cosmos clients write it: field names as in the `.proto` file, 64-bit integers as text, values that
//! are zero present, bytes in base64, enums by name, an Any with `@type`.

use std::collections::BTreeMap;

use prost::Message;
use prost_reflect::{
    DescriptorError, DescriptorPool, DeserializeOptions, DynamicMessage, ExtensionDescriptor,
    FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, SerializeOptions, Value,
};
use prost_types::Any;

pub mod parse;
pub mod tables;
pub mod units;

/// Why a message can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program's own descriptors are broken.
    #[error("the built-in descriptors can't be read: {0}")]
    Descriptors(#[from] DescriptorError),
    /// The program's own descriptors lack something.
    #[error("the built-in descriptors lack {0}")]
    Lacking(String),
    /// The bytes are not such a message.
    #[error("expected an encoded {name}: {source}")]
    Undecodable {
        /// The message's full name.
        name: String,
        /// The reason.
        source: prost::DecodeError,
    },
    /// The text is not such a message in JSON.
    #[error("expected a {name} in JSON: {source}")]
    NotJson {
        /// The message's full name.
        name: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// The message holds what JSON can't show, as an Any of an unknown type.
    #[error("{name} can't be written as JSON: {source}")]
    NoJson {
        /// The message's full name.
        name: String,
        /// The reason.
        source: serde_json::Error,
    },
}

/// One message of a transaction, or one query.
#[derive(Clone, Debug)]
pub struct Method {
    /// The module: the part of the package before its version, as `market`.
    pub module: String,
    /// The name in kebab case, as `create-bid`.
    pub name: String,
    /// What it does.
    pub about: String,
    /// The path of a query, as `/underbid.market.v1.Query/Order`.
    pub path: String,
    /// The message, or the query's request.
    pub input: MessageDescriptor,
    /// The response.
    pub output: MessageDescriptor,
}

/// All descriptors of the chain.
#[derive(Clone, Debug)]
pub struct Reflection {
    pool: DescriptorPool,
    signer: ExtensionDescriptor,
    /// (file, path inside it) -> comment.
    comments: BTreeMap<(String, Vec<i32>), String>,
}

impl Reflection {
    /// Reads the descriptors that this program was built with.
    pub fn new() -> Result<Self, Error> {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
        let option = "cosmos.msg.v1.signer";
        let signer = pool.get_extension_by_name(option).ok_or_else(|| Error::Lacking(option.into()))?;
        let mut comments = BTreeMap::new();
        for file in pool.files() {
            let Some(info) = &file.file_descriptor_proto().source_code_info else { continue };
            for location in &info.location {
                if let Some(comment) = &location.leading_comments {
                    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
                    comments.insert(
                        (file.name().to_owned(), location.path.clone()),
                        lines.join(" ").trim().into(),
                    );
                }
            }
        }
        Ok(Self { pool, signer, comments })
    }

    /// Every message of every module, by module and, inside it, in the order of the services.
    pub fn messages(&self) -> Vec<Method> {
        self.methods("Msg")
    }

    /// Every query of every module, by module and, inside it, in the order of the services.
    pub fn queries(&self) -> Vec<Method> {
        self.methods("Query")
    }

    fn methods(&self, service_name: &str) -> Vec<Method> {
        let services = self.pool.services().filter(|service| service.name() == service_name);
        let mut methods: Vec<Method> = services
            .flat_map(|service| service.methods().map(|method| self.method(&method)).collect::<Vec<_>>())
            .collect();
        // Stable: the order of the services and their methods stays inside a module.
        methods.sort_by(|a, b| a.module.cmp(&b.module));
        methods
    }

    fn method(&self, method: &MethodDescriptor) -> Method {
        let service = method.parent_service();
        Method {
            module: module_of(service.package_name()),
            name: kebab(method.name()),
            about: self.comment(method.parent_file().name(), method.path()),
            path: format!("/{}/{}", service.full_name(), method.name()),
            input: method.input(),
            output: method.output(),
        }
    }

    fn comment(&self, file: &str, path: &[i32]) -> String {
        self.comments.get(&(file.to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }

    /// What a message is, as its file says.
    pub fn about_message(&self, message: &MessageDescriptor) -> String {
        self.comment(message.parent_file().name(), message.path())
    }

    /// What a field is, with its unit and range, as its file says.
    pub fn about_field(&self, field: &FieldDescriptor) -> String {
        self.comment(field.parent_file().name(), field.path())
    }

    /// A message's descriptor by its full name.
    pub fn message(&self, name: &str) -> Result<MessageDescriptor, Error> {
        self.pool.get_message_by_name(name).ok_or_else(|| Error::Lacking(format!("the message {name}")))
    }

    /// The fields that name the signers of a message: addresses, or messages with signers of their own.
    pub fn signer_fields(&self, message: &MessageDescriptor) -> Vec<FieldDescriptor> {
        let options = message.options();
        let names = options.get_extension(&self.signer);
        let names = names.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
        names.filter_map(|name| message.get_field_by_name(name)).collect()
    }

    /// The addresses that must sign a message, in order, as they stand in it.
    pub fn signers(&self, message: &DynamicMessage) -> Vec<String> {
        let mut signers = Vec::new();
        for field in self.signer_fields(&message.descriptor()) {
            match message.get_field(&field).as_ref() {
                Value::String(address) => signers.push(address.clone()),
                Value::Message(inner) => signers.extend(self.signers(inner)),
                Value::List(list) => {
                    signers.extend(
                        list.iter().filter_map(Value::as_message).flat_map(|inner| self.signers(inner)),
                    );
                }
                _ => {}
            }
        }
        signers
    }

    /// Decodes a message.
    pub fn decode(&self, message: &MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, Error> {
        DynamicMessage::decode(message.clone(), bytes)
            .map_err(|source| Error::Undecodable { name: message.full_name().into(), source })
    }

    /// Decodes what an Any holds.
    pub fn decode_any(&self, any: &Any) -> Result<DynamicMessage, Error> {
        self.decode(&self.message(any.type_url.trim_start_matches('/'))?, &any.value)
    }

    /// The Any of a message.
    pub fn any(&self, message: &DynamicMessage) -> Any {
        Any { type_url: format!("/{}", message.descriptor().full_name()), value: message.encode_to_vec() }
    }

    /// Reads a message from JSON. Fields that it does not have are errors.
    pub fn from_json(&self, message: &MessageDescriptor, text: &str) -> Result<DynamicMessage, Error> {
        let failed = |source| Error::NotJson { name: message.full_name().into(), source };
        let mut reader = serde_json::Deserializer::from_str(text);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let read = DynamicMessage::deserialize_with_options(message.clone(), &mut reader, &options)
            .map_err(failed)?;
        reader.end().map_err(failed)?;
        Ok(read)
    }

    /// Writes a message as JSON.
    pub fn to_json(&self, message: &DynamicMessage) -> Result<serde_json::Value, Error> {
        let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(|source| Error::NoJson { name: message.descriptor().full_name().into(), source })
    }
}

/// `market` of `underbid.market.v1`, `bank` of `cosmos.bank.v1beta1`.
fn module_of(package: &str) -> String {
    package.rsplit('.').nth(1).unwrap_or(package).to_owned()
}

/// `create-bid` of `CreateBid`, `order-id` of `order_id`.
pub fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(if character == '_' { '-' } else { character.to_ascii_lowercase() });
    }
    kebab
}

/// The name of an enum's value without what all values of the enum begin with, as `not-delivered`.
pub fn short_value_name(field_enum: &prost_reflect::EnumDescriptor, value: &str) -> String {
    let prefix = kebab(field_enum.name());
    let name = value.to_ascii_lowercase().replace('_', "-");
    name.strip_prefix(&format!("{prefix}-")).unwrap_or(&name).to_owned()
}

/// Whether a field is of the message type with this full name.
pub fn is_message(field: &FieldDescriptor, name: &str) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == name)
}

#[cfg(test)]
mod tests;
