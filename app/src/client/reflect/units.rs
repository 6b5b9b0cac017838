//! Money and time as people write them. The units of a field are what its comment in the `.proto` file says; proto/README.md
//! gives the words.

use kernel::num;

/// Seconds of the units in which a rate or a duration is written.
const TIME_UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// What a field of decimal text counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Millionths of a FLOP.
    Uflop,
    /// Millionths of a CREDIT.
    Ucredit,
    /// Ucredit a second times 10^18.
    Rate,
    /// A rate times a multiplier in ppm.
    Effective,
}

impl Unit {
    /// The unit that a field's comment names.
    pub fn of(comment: &str) -> Option<Self> {
        let lower = comment.to_ascii_lowercase();
        match () {
            () if lower.contains("ucredit a second times 10^18") => Some(Self::Rate),
            () if lower.contains("effective price") => Some(Self::Effective),
            () if lower.contains("in uflop") => Some(Self::Uflop),
            () if lower.contains("in ucredit") => Some(Self::Ucredit),
            () => None,
        }
    }

    /// What may be written, for help and errors.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Uflop => "a decimal in uflop, or as 1.5FLOP",
            Self::Ucredit => "a decimal in ucredit, or as 1.5CREDIT",
            Self::Rate => "a decimal (ucredit a second times 10^18), or as 1.5CREDIT/h, /d or /s",
            Self::Effective => "a decimal",
        }
    }

    /// The decimal text of what a person wrote; none where it is not in this unit. A rate that is no whole number is
    /// rounded down.
    pub fn parse(self, text: &str) -> Option<String> {
        let text = text.trim();
        if num::parse_u128(text).is_some() {
            return Some(text.to_owned());
        }
        let units = match self {
            Self::Uflop => coin(text).filter(|(_, denom)| denom == "uflop")?.0,
            Self::Ucredit => coin(text).filter(|(_, denom)| denom == "ucredit")?.0,
            Self::Rate => {
                let (money, time) = text.split_once('/')?;
                let (_, seconds) = TIME_UNITS.iter().find(|(name, _)| *name == time)?;
                let (digits, scale) = decimal(money.trim_end().strip_suffix("CREDIT")?)?;
                // A CREDIT a second is 10^6 ucredit times 10^18.
                num::mul_floor(digits, 10_u128.pow(24), scale.checked_mul(u128::from(*seconds))?).ok()?
            }
            Self::Effective => return None,
        };
        Some(units.to_string())
    }

    /// The same for people, as `1.5 FLOP` or `2 CREDIT/h`; none where it is not decimal text.
    pub fn readable(self, decimal: &str) -> Option<String> {
        let units = num::parse_u128(decimal)?;
        Some(match self {
            Self::Uflop => format!("{} FLOP", millionths(units)),
            Self::Ucredit => format!("{} CREDIT", millionths(units)),
            Self::Rate => format!("{} CREDIT/h", millionths(hourly(units)?)),
            Self::Effective => format!("{} CREDIT/h", millionths(hourly(units / u128::from(num::ONE_PPM))?)),
        })
    }
}

/// Ucredit an hour of ucredit a second times 10^18, to the nearest.
fn hourly(rate: u128) -> Option<u128> {
    Some(rate.checked_mul(3_600)?.checked_add(num::E18 / 2)? / num::E18)
}

/// One coin, as `100uflop` or `1.5FLOP`, in its smallest unit.
pub fn coin(text: &str) -> Option<(u128, String)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (amount, denom) = text.split_at_checked(at)?;
    let base = match denom.trim() {
        "FLOP" => "uflop",
        "CREDIT" => "ucredit",
        denom => {
            let is_denom = denom.chars().all(|c| c.is_ascii_alphanumeric() || "/:._-".contains(c));
            return is_denom.then_some((num::parse_u128(amount)?, denom.to_owned()));
        }
    };
    let (digits, scale) = decimal(amount)?;
    let units = digits.checked_mul(1_000_000)?;
    (units % scale == 0).then_some((units / scale, base.to_owned()))
}

/// Coins with commas between them, sorted by denom; none where one is not a coin or a denom comes twice.
pub fn coins(text: &str) -> Option<Vec<(u128, String)>> {
    let mut coins: Vec<(u128, String)> = text.split(',').map(coin).collect::<Option<_>>()?;
    coins.sort_by(|a, b| a.1.cmp(&b.1));
    let is_distinct = coins.windows(2).all(|pair| matches!(pair, [a, b] if a.1 != b.1));
    is_distinct.then_some(coins)
}

/// A coin for people, as `1500000uflop (1.5 FLOP)`.
pub fn readable_coin(amount: &str, denom: &str) -> String {
    let unit = match denom {
        "uflop" => Some(Unit::Uflop),
        "ucredit" => Some(Unit::Ucredit),
        _ => None,
    };
    match unit.and_then(|unit| unit.readable(amount)) {
        Some(readable) => format!("{amount}{denom} ({readable})"),
        None => format!("{amount}{denom}"),
    }
}

/// `1.25` as (125, 100), with at most 18 places.
fn decimal(text: &str) -> Option<(u128, u128)> {
    let text = text.trim();
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let is_decimal = !whole.is_empty() && places.len() <= 18 && (whole.len() + places.len()) <= 38;
    let digits = format!("{whole}{places}");
    if !is_decimal || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, 10_u128.checked_pow(u32::try_from(places.len()).ok()?)?))
}

fn millionths(units: u128) -> String {
    let text = format!("{}.{:06}", units / 1_000_000, units % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Seconds of `90`, `90s`, `15m`, `2h`, `1d12h` or `1w`; none where it is none of these.
pub fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, unit) = rest.split_at_checked(at)?;
        let (name, length) = TIME_UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
        total = total.checked_add(count.parse::<u64>().ok()?.checked_mul(*length)?)?;
        rest = unit.strip_prefix(name)?;
    }
    Some(total)
}

/// A duration for people, as `1h 30m`.
pub fn readable_seconds(seconds: u64) -> String {
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, length) in TIME_UNITS {
        if rest >= length {
            parts.push(format!("{}{name}", rest / length));
            rest %= length;
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_in_the_units_of_its_field_and_no_other() {
        assert_eq!(Unit::Uflop.parse("1500000").as_deref(), Some("1500000"));
        assert_eq!(Unit::Uflop.parse("1.5FLOP").as_deref(), Some("1500000"));
        assert_eq!(Unit::Uflop.parse("7uflop").as_deref(), Some("7"));
        assert_eq!(Unit::Ucredit.parse("24 CREDIT").as_deref(), Some("24000000"));
        assert_eq!(Unit::Rate.parse("2CREDIT/h").as_deref(), Some("555555555555555555555"));
        assert_eq!(Unit::Rate.parse("1CREDIT/s").as_deref(), Some("1000000000000000000000000"));
        for (unit, bad) in [
            (Unit::Uflop, "1CREDIT"),
            (Unit::Ucredit, "1FLOP"),
            (Unit::Uflop, "0.0000001FLOP"),
            (Unit::Uflop, "-1"),
            (Unit::Uflop, ""),
            (Unit::Uflop, "FLOP"),
            (Unit::Uflop, "1e6"),
            (Unit::Rate, "2CREDIT"),
            (Unit::Rate, "2CREDIT/y"),
            (Unit::Rate, "2FLOP/h"),
            (Unit::Rate, "99999999999999999999999999999999999999CREDIT/s"),
        ] {
            assert_eq!(unit.parse(bad), None, "{unit:?} {bad:?}");
        }
    }

    #[test]
    fn money_is_shown_as_people_say_it() {
        assert_eq!(Unit::Uflop.readable("1500000").as_deref(), Some("1.5 FLOP"));
        assert_eq!(Unit::Ucredit.readable("0").as_deref(), Some("0 CREDIT"));
        assert_eq!(Unit::Rate.readable("555555555555555555555").as_deref(), Some("2 CREDIT/h"));
        assert_eq!(Unit::Effective.readable("641666666666666666666025000").as_deref(), Some("2.31 CREDIT/h"));
        assert_eq!(Unit::Rate.readable("x"), None);
        assert_eq!(readable_coin("5", "uother"), "5uother");
    }

    #[test]
    fn coins_are_sorted_and_distinct() {
        assert_eq!(coins("5uflop,1CREDIT"), Some(vec![(1_000_000, "ucredit".into()), (5, "uflop".into())]));
        for bad in
            ["", "5", "uflop", "5uflop,", "5uflop,6uflop", "1FLOP,2uflop", "1.5uflop", "5u flop", "05uflop"]
        {
            assert_eq!(coins(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("1d12h", 129_600), ("1w", 604_800)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in ["", "h", "1x", "1h30", "-1s", "99999999999999999999w"] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
        assert_eq!(readable_seconds(5_400), "1h 30m");
        assert_eq!(readable_seconds(0), "0s");
    }
}
