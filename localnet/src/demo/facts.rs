//! Events read by attribute, and numbers written for people.

use kernel::E18;
use underbid::client::rpc::Event;

/// An event's attributes. What is missing reads as nothing: events are this chain's own, and the sums at the end tell.
#[derive(Clone, Copy)]
pub struct Facts<'a>(pub &'a Event);

impl<'a> Facts<'a> {
    /// An attribute as it is.
    pub fn text(self, key: &str) -> &'a str {
        let found = self.0.attributes.iter().find(|attribute| attribute.key == key);
        found.map_or("", |attribute| attribute.value.as_str())
    }

    /// A number, such as a height or a time.
    pub fn number(self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_default()
    }

    /// An amount or a rate.
    pub fn amount(self, key: &str) -> u128 {
        self.text(key).parse().unwrap_or_default()
    }

    /// A list of numbers.
    pub fn list(self, key: &str) -> Vec<u32> {
        self.text(key).split(',').filter_map(|part| part.parse().ok()).collect()
    }
}

/// A rate (ucredit a second times 10^18) in CREDIT an hour, rounded to four digits.
pub fn per_hour(rate: u128) -> String {
    let digit = 100 * E18;
    let tenths_of_milli = (rate.saturating_mul(3600).saturating_add(digit / 2)) / digit;
    format!("{}.{:04}", tenths_of_milli / 10_000, tenths_of_milli % 10_000)
}

/// A rate of so many ucredit an hour.
pub fn rate_of_hourly(ucredit: u128) -> u128 {
    ucredit.saturating_mul(E18) / 3600
}

/// An amount with its decimals, as `12.345678`.
pub fn units(amount: u128) -> String {
    format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::{per_hour, rate_of_hourly, units};

    #[test]
    fn rates_and_amounts_are_shown_as_people_say_them() {
        assert_eq!(per_hour(rate_of_hourly(2_400_000)), "2.4000");
        assert_eq!(per_hour(555_555_555_555_555_555_555), "2.0000");
        assert_eq!(per_hour(0), "0.0000");
        assert_eq!(units(1_000_001), "1.000001");
    }
}
