//! Where machines are: `country/region/metro`.

use std::fmt;

use kernel::{
    Field, Key, KeyBuf, Reject,
    codec::{Reader, Render, Repeated, WireType, write_bytes},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The segments of a zone.
const SEGMENTS: usize = 3;
/// The most bytes of a segment.
const SEGMENT_BYTES_MAX: usize = 16;
/// The distance of zones that share country and region, in ppm.
const SAME_REGION_PPM: u32 = 300_000;
/// The distance of zones that share only the country, in ppm.
const SAME_COUNTRY_PPM: u32 = 600_000;

/// A zone: `country/region/metro`, each 1 to 16 of a-z, 0-9 and hyphen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone(String);

/// A zone, or the `country` or `country/region` that holds zones.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZonePattern(String);

impl Zone {
    /// Reads a zone.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let expected = "expected country/region/metro, each 1 to 16 of a-z, 0-9 and -";
        if segments(text) == Some(SEGMENTS) {
            return Ok(Self(text.to_owned()));
        }
        Err(Reject::invalid_request(format!("zone {:?}: {expected}", kernel::excerpt(text))))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The patterns that it matches: its country, its region, itself.
    pub fn patterns(&self) -> impl Iterator<Item = ZonePattern> + '_ {
        let ends = self.0.match_indices('/').map(|(at, _)| at).chain([self.0.len()]);
        ends.filter_map(|end| self.0.get(..end)).map(|text| ZonePattern(text.to_owned()))
    }

    /// How far `zone` is from where it is wanted, in ppm: 0 in the same zone or if nobody asks, 300_000 in the same region,
    /// 600_000 in the same country, else 1_000_000.
    pub fn distance_ppm(near: Option<&Self>, zone: &Self) -> u32 {
        let Some(near) = near else { return 0 };
        let shared = near.0.split('/').zip(zone.0.split('/')).take_while(|(one, other)| one == other).count();
        match shared {
            SEGMENTS => 0,
            2 => SAME_REGION_PPM,
            1 => SAME_COUNTRY_PPM,
            _ => kernel::ONE_PPM,
        }
    }
}

impl ZonePattern {
    /// Reads a zone, or its first one or two segments.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let expected =
            "expected country, country/region or country/region/metro, each 1 to 16 of a-z, 0-9 and -";
        if segments(text).is_some() {
            return Ok(Self(text.to_owned()));
        }
        Err(Reject::invalid_request(format!("zone {:?}: {expected}", kernel::excerpt(text))))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the zone is this one or lies in it: whole segments count, `de/b` does not hold `de/berlin/west`.
    pub fn matches(&self, zone: &Zone) -> bool {
        zone.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// How many segments a path has, 1 to 3; `None` if it is none.
fn segments(text: &str) -> Option<usize> {
    let sound = |part: &str| {
        (1..=SEGMENT_BYTES_MAX).contains(&part.len())
            && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let mut count = 0_usize;
    for part in text.split('/').take(SEGMENTS.saturating_add(1)) {
        if !sound(part) {
            return None;
        }
        count = count.saturating_add(1);
    }
    (count <= SEGMENTS).then_some(count)
}

macro_rules! path_type {
    ($($name:ident),*) => {$(
        impl Field for $name {
            const WIRE: WireType = WireType::LengthDelimited;
            fn is_default(&self) -> bool {
                false
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                write_bytes(tag, self.0.as_bytes(), out);
            }
            fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
                Self::parse(std::str::from_utf8(reader.bytes()?).ok()?).ok()
            }
            fn absent() -> Option<Self> {
                None
            }
        }
        impl Repeated for $name {}
        impl Render for $name {
            fn render(&self) -> String {
                self.0.clone()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    )*};
}
path_type!(Zone, ZonePattern);

/// The last part of a key: it takes the rest.
impl Key for Zone {
    fn write(&self, out: &mut KeyBuf) {
        out.extend_from_slice(self.0.as_bytes());
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let zone = Self::parse(std::str::from_utf8(input).ok()?).ok()?;
        *input = &[];
        Some(zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Zone {
        Zone::parse(text).unwrap()
    }

    #[test]
    fn a_zone_is_three_plain_segments() {
        let longest = format!("{0}/{0}/{0}", "a".repeat(16));
        for good in ["de/hessen/fra-1", "0/-/a", &longest] {
            assert_eq!(zone(good).as_str(), good);
        }
        let long = format!("{}/b/c", "a".repeat(17));
        for bad in [
            "",
            "de",
            "de/he",
            "de/he/",
            "/he/fra",
            "de//fra",
            "de/he/fra/x",
            "DE/he/fra",
            "de/he/fr_a",
            "de/he/fr a",
            &long,
        ] {
            assert!(Zone::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Zone::parse(&"a/".repeat(1 << 20)).unwrap_err().message.len() < 200);
    }

    #[test]
    fn a_pattern_matches_whole_segments() {
        let fra = zone("de/hessen/fra");
        for good in ["de", "de/hessen", "de/hessen/fra"] {
            assert!(ZonePattern::parse(good).unwrap().matches(&fra), "{good}");
        }
        for other in ["d", "de/hesse", "de/hessen/fr", "hessen", "de/hessen/fra-1"] {
            assert!(!ZonePattern::parse(other).unwrap().matches(&fra), "{other}");
        }
        for bad in ["", "/", "de/", "de/hessen/fra/x"] {
            assert!(ZonePattern::parse(bad).is_err(), "{bad:?}");
        }
        let patterns: Vec<_> = fra.patterns().map(|pattern| pattern.to_string()).collect();
        assert_eq!(patterns, ["de", "de/hessen", "de/hessen/fra"]);
    }

    #[test]
    fn distance_counts_what_is_shared_from_the_left() {
        let near = zone("de/hessen/fra");
        let rows = [
            ("de/hessen/fra", 0),
            ("de/hessen/kassel", 300_000),
            ("de/bayern/fra", 600_000),
            ("us/hessen/fra", 1_000_000),
        ];
        for (other, expected) in rows {
            assert_eq!(Zone::distance_ppm(Some(&near), &zone(other)), expected, "{other}");
            assert_eq!(Zone::distance_ppm(None, &zone(other)), 0);
        }
    }

    #[test]
    fn a_zone_reads_back_from_a_key_and_a_record() {
        let fra = zone("de/hessen/fra");
        assert_eq!(Zone::from_bytes(&fra.to_bytes()), Some(fra.clone()));
        assert_eq!(Zone::from_bytes(b"de/hessen"), None);
        let mut bytes = Vec::new();
        Field::write(&fra, 3, &mut bytes);
        assert_eq!(Reader::new(&bytes).field::<Zone>(3), Some(fra));
    }
}
