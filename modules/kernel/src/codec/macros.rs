//! The declarations of records, events' fields, choices and enumerations.

/// Declares a message: `record! { pub struct Line { pub total: u32 = 1, ... } }`, tags ascending. It can be a table's
/// value (version 1) and a field of another record.
#[macro_export]
macro_rules! record {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $type:ty = $tag:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $type,)* }
        $crate::message!($name { $($field: $type = $tag,)* });
        impl $crate::codec::Record for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $crate::codec::Fields::write_fields(self, out);
            }
            fn decode(version: u8, body: &[u8]) -> Option<Self> {
                (version == <Self as $crate::codec::Record>::VERSION)
                    .then(|| <Self as $crate::codec::Fields>::from_message(body))?
            }
        }
    )*};
}

/// The codec of a struct's fields; [`record!`](crate::record) and [`event!`](crate::event) use it.
#[macro_export]
macro_rules! message {
    ($name:ident { $($field:ident : $type:ty = $tag:literal),* $(,)? }) => {
        impl $crate::codec::Fields for $name {
            #[allow(unused_variables)]
            fn write_fields(&self, out: &mut Vec<u8>) {
                $(if !$crate::codec::Field::is_default(&self.$field) {
                    $crate::codec::Field::write(&self.$field, $tag, out);
                })*
            }
            #[allow(unused_variables)]
            fn read_fields(reader: &mut $crate::codec::Reader<'_>) -> Option<Self> {
                Some(Self { $($field: reader.field::<$type>($tag)?,)* })
            }
            #[allow(unused_variables)]
            fn render_fields(&self, out: &mut Vec<(&'static str, String)>) {
                $(out.push((stringify!($field), $crate::codec::Render::render(&self.$field)));)*
            }
        }
        impl $crate::codec::Field for $name {
            const WIRE: $crate::codec::WireType = $crate::codec::WireType::LengthDelimited;
            fn is_default(&self) -> bool {
                false
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::codec::write_nested(tag, out, |out| $crate::codec::Fields::write_fields(self, out));
            }
            fn read(reader: &mut $crate::codec::Reader<'_>, _: u32) -> Option<Self> {
                $crate::codec::Fields::from_message(reader.bytes()?)
            }
            fn absent() -> Option<Self> {
                None
            }
        }
        impl $crate::codec::Repeated for $name {}
        impl $crate::codec::Render for $name {
            fn render(&self) -> String {
                let mut fields = Vec::new();
                $crate::codec::Fields::render_fields(self, &mut fields);
                let fields: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("({})", fields.join(" "))
            }
        }
    };
}

/// Declares one of several messages: a field that holds a message in which exactly one field is set.
#[macro_export]
macro_rules! one_of {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident ( $type:ty ) = $tag:literal),* $(,)? }) => {
        $(#[$meta])*
        $vis enum $name { $($(#[$vmeta])* $variant($type),)* }
        impl $crate::codec::Field for $name {
            const WIRE: $crate::codec::WireType = $crate::codec::WireType::LengthDelimited;
            fn is_default(&self) -> bool {
                false
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::codec::write_nested(tag, out, |out| match self {
                    $(Self::$variant(inner) => $crate::codec::Field::write(inner, $tag, out),)*
                });
            }
            fn read(reader: &mut $crate::codec::Reader<'_>, _: u32) -> Option<Self> {
                let mut body = $crate::codec::Reader::new(reader.bytes()?);
                $(if body.take_key($tag, <$type as $crate::codec::Field>::WIRE) {
                    let value = <$type as $crate::codec::Field>::read(&mut body, $tag)?;
                    return body.is_empty().then_some(Self::$variant(value));
                })*
                None
            }
            fn absent() -> Option<Self> {
                None
            }
        }
        impl $crate::codec::Render for $name {
            fn render(&self) -> String {
                match self {
                    $(Self::$variant(inner) => {
                        format!("{}{}", stringify!($variant), $crate::codec::Render::render(inner))
                    })*
                }
            }
        }
    };
}

/// Declares a plain enumeration; the numbers are those of its proto enum, without a zero.
#[macro_export]
macro_rules! enumeration {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $number:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        $vis enum $name { $($(#[$vmeta])* $variant,)* }
        impl $name {
            /// Its number in the protos.
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)* }
            }
            /// The one with a number.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
        impl $crate::codec::Field for $name {
            const WIRE: $crate::codec::WireType = $crate::codec::WireType::Varint;
            fn is_default(&self) -> bool {
                false
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::codec::Field::write(&self.number(), tag, out);
            }
            fn read(reader: &mut $crate::codec::Reader<'_>, tag: u32) -> Option<Self> {
                Self::from_number(<u32 as $crate::codec::Field>::read(reader, tag)?)
            }
            fn absent() -> Option<Self> {
                None
            }
        }
        impl $crate::codec::Render for $name {
            fn render(&self) -> String {
                self.name().to_owned()
            }
        }
    };
}
