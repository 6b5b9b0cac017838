//! By what providers, lines and unbondings are found, and when unbondings are due.

use kernel::{Address, Derived, Due, Hold, Indexed, Key, KeyBuf};

use crate::{
    state::{OFFERS, STATUSES, UNBONDINGS_DUE, UNBONDINGS_HELD},
    types::{Line, LineKey, Provider, Unbonding, UnbondingKey},
    zone::ZonePattern,
};

/// Providers by status.
impl Indexed<Address> for Provider {
    fn derive(&self, _: &Address, out: &mut Derived) {
        out.index(STATUSES, &self.status.number());
    }
}

/// Lines by what may be asked for: a class or any, in a zone, in what holds it, or anywhere. Any class anywhere is the
/// table itself.
impl Indexed<LineKey> for Line {
    const BY_KEY_ALONE: bool = true;

    fn derive(&self, (_, class_id, zone): &LineKey, out: &mut Derived) {
        out.index(OFFERS, &Offer { class_id: *class_id, zone: None });
        for pattern in zone.patterns() {
            out.index(OFFERS, &Offer { class_id: 0, zone: Some(pattern.clone()) });
            out.index(OFFERS, &Offer { class_id: *class_id, zone: Some(pattern) });
        }
    }
}

/// Unbondings by the time at which they are paid, or tried again.
impl Indexed<UnbondingKey> for Unbonding {
    fn derive(&self, _: &UnbondingKey, out: &mut Derived) {
        match &self.hold {
            None => out.due(&UNBONDINGS_DUE, self.due_at),
            Some(hold) => out.due(&UNBONDINGS_HELD, hold.retry_at),
        }
    }
}

impl Due<UnbondingKey> for Unbonding {
    fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }
}

/// What somebody may look for: a class (0: any) in a zone (`None`: anywhere).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub class_id: u32,
    pub zone: Option<ZonePattern>,
}

/// The class, the path and a zero: a byte that no path contains, so that no path is the beginning of another.
impl Key for Offer {
    fn write(&self, out: &mut KeyBuf) {
        self.class_id.write(out);
        out.extend_from_slice(self.zone.as_ref().map_or("", ZonePattern::as_str).as_bytes());
        out.push(0);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let class_id = u32::read(input)?;
        let end = input.iter().position(|byte| *byte == 0)?;
        let (path, rest) = input.split_at_checked(end)?;
        let zone = match path {
            [] => None,
            path => Some(ZonePattern::parse(std::str::from_utf8(path).ok()?).ok()?),
        };
        *input = rest.get(1..)?;
        Some(Self { class_id, zone })
    }
}
