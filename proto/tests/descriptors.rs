//! What clients, command-line help and reflection need of the descriptor set.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ServiceDescriptor, Value};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("a descriptor set with all its imports")
}

fn option(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Value {
    let extension = pool.get_extension_by_name(name).expect("the extension is declared");
    options.get_extension(&extension).into_owned()
}

fn text(value: Value) -> String {
    value.as_str().expect("a text option").to_owned()
}

fn is_ours(package: &str) -> bool {
    package.starts_with("underbid.")
}

fn message_services(pool: &DescriptorPool) -> Vec<ServiceDescriptor> {
    pool.services().filter(|service| service.name() == "Msg").collect()
}

fn is_signed_by(pool: &DescriptorPool, message: &MessageDescriptor) -> bool {
    let signers = option(pool, &message.options(), "cosmos.msg.v1.signer");
    let signers = signers.as_list().expect("a list of field names").to_vec();
    !signers.is_empty()
        && signers.into_iter().all(|name| {
            let field = message.get_field_by_name(&text(name)).expect("the signer is a field of the message");
            match field.kind() {
                prost_reflect::Kind::String => true,
                prost_reflect::Kind::Message(inner) => is_signed_by(pool, &inner),
                _ => false,
            }
        })
}

#[test]
fn every_message_names_its_signer_and_its_amino_type() {
    let pool = pool();
    let mut amino_names = BTreeSet::new();
    for service in message_services(&pool) {
        let marked = option(&pool, &service.options(), "cosmos.msg.v1.service");
        assert_eq!(marked.as_bool(), Some(true), "{} is marked as a message service", service.full_name());
        for method in service.methods() {
            let message = method.input();
            let name = message.full_name();
            assert!(is_signed_by(&pool, &message), "{name} names its signer");
            let amino_name = text(option(&pool, &message.options(), "amino.name"));
            assert!((1..40).contains(&amino_name.len()), "{name}: amino name {amino_name:?}");
            assert!(
                !is_ours(message.package_name()) || amino_name.starts_with("underbid/"),
                "{name}: {amino_name:?}"
            );
            assert!(amino_names.insert(amino_name), "the amino name of {name} is its own");
            assert_eq!(method.output().full_name(), format!("{name}Response"));
        }
    }
    assert!(amino_names.len() > 20, "only {amino_names:?}");
}

#[test]
fn our_messages_begin_with_their_signer() {
    let pool = pool();
    for service in message_services(&pool).into_iter().filter(|service| is_ours(service.package_name())) {
        for method in service.methods() {
            let message = method.input();
            let signers = option(&pool, &message.options(), "cosmos.msg.v1.signer");
            let first = message.get_field(1).expect("a first field");
            let signer = signers.as_list().and_then(|list| list.first()?.as_str()).expect("a signer");
            assert_eq!(first.name(), signer, "{}", message.full_name());
        }
    }
}

#[test]
fn everything_of_ours_is_commented() {
    let set = pool();
    for file in set.files().filter(|file| is_ours(file.package_name())) {
        let raw = file.file_descriptor_proto();
        let info = raw.source_code_info.as_ref().expect("the comments are kept");
        let commented: BTreeSet<&[i32]> = info
            .location
            .iter()
            .filter(|location| location.leading_comments.as_ref().is_some_and(|text| !text.trim().is_empty()))
            .map(|location| location.path.as_slice())
            .collect();
        let check = |path: &[i32], name: &str| {
            assert!(commented.contains(path), "{}: {name} has no comment", file.name());
        };
        for message in file.messages() {
            check(message.path(), message.full_name());
            message.fields().for_each(|field| check(field.path(), field.full_name()));
        }
        for kind in file.enums() {
            check(kind.path(), kind.full_name());
            kind.values().for_each(|value| check(value.path(), value.full_name()));
        }
        for service in file.services() {
            check(service.path(), service.full_name());
            service.methods().for_each(|method| check(method.path(), method.full_name()));
        }
    }
}

#[test]
fn later_fields_of_the_market_stay_free() {
    let pool = pool();
    for name in ["Order", "Bid", "Lease"] {
        let message = pool.get_message_by_name(&format!("underbid.market.v1.{name}")).expect("it exists");
        assert_eq!(message.reserved_ranges().collect::<Vec<_>>(), vec![40..60], "{name}");
    }
}

#[test]
fn nothing_is_encoded_in_two_ways() {
    for message in pool().all_messages().filter(|message| is_ours(message.package_name())) {
        for field in message.fields() {
            let name = field.full_name();
            assert!(!field.is_map(), "{name} is a map, whose order is free");
            let kind = field.kind();
            let is_float = matches!(kind, prost_reflect::Kind::Float | prost_reflect::Kind::Double);
            assert!(!is_float, "{name} is a float");
        }
    }
}

#[test]
fn lists_are_paged() {
    for service in pool().services().filter(|service| service.name() == "Query") {
        for method in service.methods() {
            let answer = method.output();
            let paged = answer.get_field_by_name("pagination").is_some();
            let asked = method.input().get_field_by_name("pagination").is_some();
            assert_eq!(paged, asked, "{}", method.full_name());
        }
    }
}
