//! The fields of a message as flags, from the descriptors: one flag a field, its comment as help.

use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::{Failure, terminal::read_text};
use crate::client::reflect::{Method, Reflection, is_message, kebab, parse, units::Unit};

const PAGE_REQUEST: &str = "cosmos.base.query.v1beta1.PageRequest";
/// The id of the words that stand without a flag.
const POSITIONAL: &str = "values";

/// A command with a subcommand a module and, in it, one a method. `finish` adds what every method has.
pub(super) fn modules(
    reflection: &Reflection,
    root: Command,
    methods: Vec<Method>,
    finish: impl Fn(Command) -> Command,
) -> Command {
    let mut modules: Vec<Command> = Vec::new();
    for method in methods {
        // What every method has brings a description of its own: the method's comes last.
        let command = finish(method_command(reflection, &method))
            .about(method.about.clone())
            .long_about(format!("{}\n\n{}", method.about, method.input.full_name()));
        match modules.pop_if(|module| module.get_name() == method.module) {
            Some(module) => modules.push(module.subcommand(command)),
            None => {
                let module = Command::new(method.module.clone())
                    .about(format!(
                        "{} of the module {}",
                        root.get_about().cloned().unwrap_or_default(),
                        method.module
                    ))
                    .subcommand_required(true)
                    .arg_required_else_help(true);
                modules.push(module.subcommand(command));
            }
        }
    }
    root.subcommand_required(true).arg_required_else_help(true).subcommands(modules)
}

fn method_command(reflection: &Reflection, method: &Method) -> Command {
    let fields = flag_fields(reflection, &method.input);
    let mut command = Command::new(method.name.clone());
    if !fields.is_empty() {
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        command = command.arg(Arg::new(POSITIONAL).value_name("VALUE").num_args(0..).help(format!(
            "Values of the fields in their order, instead of their flags: {}",
            names.join(" ")
        )));
    }
    for field in &fields {
        command = command.arg(flag(reflection, field));
    }
    if let Some(page) = page_field(&method.input) {
        command = command.args(
            page_fields(&page)
                .into_iter()
                .map(|(name, field)| flag(reflection, &field).long(name).help_heading("Page")),
        );
    }
    command
}

/// The fields that a user sets: all but those that name the signer, and the page.
fn flag_fields(reflection: &Reflection, message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let signers = reflection.signer_fields(message);
    let is_signer = |field: &FieldDescriptor| matches!(field.kind(), Kind::String) && signers.contains(field);
    message.fields().filter(|field| !is_signer(field) && !is_message(field, PAGE_REQUEST)).collect()
}

fn page_field(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    message.fields().find(|field| is_message(field, PAGE_REQUEST))
}

/// The flags of a page, by name. Lists come in key order, so `reverse` is left out.
fn page_fields(page: &FieldDescriptor) -> Vec<(&'static str, FieldDescriptor)> {
    let Kind::Message(request) = page.kind() else { return Vec::new() };
    [("page-key", "key"), ("offset", "offset"), ("limit", "limit"), ("count-total", "count_total")]
        .into_iter()
        .filter_map(|(flag, name)| Some((flag, request.get_field_by_name(name)?)))
        .collect()
}

fn id(field: &FieldDescriptor) -> String {
    format!("field:{}", field.full_name())
}

fn flag(reflection: &Reflection, field: &FieldDescriptor) -> Arg {
    let about = reflection.about_field(field);
    let help = match is_plain(reflection, field) {
        true => about,
        false => format!("{about} [{}]", reflection.expected(field)),
    };
    let arg = Arg::new(id(field)).long(kebab(field.name())).help(help);
    match field.kind() {
        Kind::Bool if !field.is_list() => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .action(ArgAction::Set),
        kind => arg.value_name(value_name(&kind)).allow_hyphen_values(true).action(match field.is_list() {
            true => ArgAction::Append,
            false => ArgAction::Set,
        }),
    }
}

/// Fields whose comment and type say all: text without a unit, and single numbers.
fn is_plain(reflection: &Reflection, field: &FieldDescriptor) -> bool {
    match field.kind() {
        _ if field.is_list() => false,
        Kind::String => Unit::of(&reflection.about_field(field)).is_none(),
        Kind::Uint32 | Kind::Uint64 => !parse::is_duration(field),
        Kind::Bool => true,
        _ => false,
    }
}

fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "TEXT",
        Kind::Bytes => "HEX",
        Kind::Enum(_) => "NAME",
        Kind::Message(message) if message.name() == "Coin" => "COINS",
        Kind::Message(message) if matches!(message.name(), "Input" | "Output") => "ADDRESS=COINS",
        Kind::Message(_) => "JSON",
        _ => "N",
    }
}

/// Sets the fields that the command line names in `message`, over what is there. Returns how many were named.
pub(super) fn apply(
    reflection: &Reflection,
    message: &mut DynamicMessage,
    descriptor: &MessageDescriptor,
    matches: &ArgMatches,
) -> Result<usize, Failure> {
    let fields = flag_fields(reflection, descriptor);
    let mut named = Vec::new();
    for field in &fields {
        if let Some(words) = words(matches, &id(field)) {
            named.push((field, words));
        }
    }
    if !fields.is_empty() {
        let flagged: Vec<FieldDescriptor> = named.iter().map(|(field, _)| (*field).clone()).collect();
        let mut free = fields.iter().filter(|field| !flagged.contains(field));
        for word in words(matches, POSITIONAL).unwrap_or_default() {
            let Some(field) = free.next() else {
                return Err(Failure::usage(format!(
                    "unexpected value {word:?}: every field has one already"
                )));
            };
            named.push((field, vec![word]));
        }
    }
    let count = named.len();
    for (field, words) in named {
        set(reflection, message, field, words)?;
    }
    Ok(count + apply_page(reflection, message, descriptor, matches)?)
}

fn apply_page(
    reflection: &Reflection,
    message: &mut DynamicMessage,
    descriptor: &MessageDescriptor,
    matches: &ArgMatches,
) -> Result<usize, Failure> {
    let Some(field) = page_field(descriptor) else { return Ok(0) };
    let Kind::Message(request) = field.kind() else { return Ok(0) };
    let mut page = DynamicMessage::new(request);
    let mut count = 0;
    for (_, inner) in page_fields(&field) {
        if let Some(words) = words(matches, &id(&inner)) {
            set(reflection, &mut page, &inner, words)?;
            count += 1;
        }
    }
    if count > 0 {
        message.set_field(&field, Value::Message(page));
    }
    Ok(count)
}

fn words(matches: &ArgMatches, id: &str) -> Option<Vec<String>> {
    if matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    Some(matches.get_many::<String>(id)?.cloned().collect())
}

fn set(
    reflection: &Reflection,
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    mut words: Vec<String>,
) -> Result<(), Failure> {
    if matches!(field.kind(), Kind::Message(_)) {
        for word in &mut words {
            if let Some(file) = word.strip_prefix('@') {
                *word = read_text(file)?;
            }
        }
    }
    reflection.set_field(message, field, &words).map_err(|e| Failure::usage(e.to_string()))
}
