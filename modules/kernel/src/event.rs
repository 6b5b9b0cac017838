//! Typed events: hashed as canonical messages, shown to clients as string attributes.

use crate::codec::Fields;

/// An event as ABCI shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbciEvent {
    /// Its type, such as `underbid.market.v1.EventBidCreated` or `transfer`.
    pub kind: &'static str,
    /// Its attributes, in order.
    pub attributes: Vec<(&'static str, String)>,
}

/// A typed event.
pub trait Event: Fields {
    /// The full name of its message.
    const NAME: &'static str;

    /// What ABCI shows of it: the event itself; a module may add those that Cosmos clients search for.
    fn render(&self, out: &mut Vec<AbciEvent>) {
        let mut attributes = Vec::new();
        self.render_fields(&mut attributes);
        out.push(AbciEvent { kind: Self::NAME, attributes });
    }
}

/// An emitted event.
#[derive(Clone, Debug)]
pub struct EventBytes {
    /// The full name of its message.
    pub name: &'static str,
    /// The message: what the event log hashes.
    pub bytes: Box<[u8]>,
    render: fn(&[u8], &mut Vec<AbciEvent>),
}

impl EventBytes {
    /// An event by its message.
    pub(crate) fn of<E: Event>(message: &[u8]) -> Self {
        Self { name: E::NAME, bytes: message.into(), render: render_bytes::<E> }
    }

    /// What ABCI shows of it. Not done when it is emitted: strings cost more than the event, and this can run beside others.
    pub fn rendered(&self) -> Vec<AbciEvent> {
        let mut out = Vec::new();
        (self.render)(&self.bytes, &mut out);
        out
    }
}

fn render_bytes<E: Event>(bytes: &[u8], out: &mut Vec<AbciEvent>) {
    if let Some(event) = E::from_message(bytes) {
        event.render(out);
    }
}

/// Declares events: `event! { "underbid.market.v1" /// doc pub struct BidCreated as EventBidCreated { order: u64 = 1 } }`.
#[macro_export]
macro_rules! event {
    ($package:literal $($(#[$meta:meta])* pub struct $name:ident as $proto:ident { $($field:ident : $type:ty = $tag:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields are documented in events.proto")]
        pub struct $name { $(pub $field: $type,)* }
        $crate::message!($name { $($field: $type = $tag,)* });
        impl $crate::event::Event for $name {
            const NAME: &'static str = concat!($package, ".", stringify!($proto));
        }
    )*};
}
