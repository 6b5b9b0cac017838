//! What is played: the classes, the providers with their machines and their thrift, and the tenants' orders with what shall
//! become of them.

use proto::underbid::provider::v1::Class;

use super::facts::rate_of_hourly;

/// What shall become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its money runs out.
    RunsDry,
    /// It is topped up when it is low, and then runs to its end.
    ToppedUp,
    /// The tenant closes it early.
    ClosedEarly,
    /// The first winner never starts; the second serves.
    NeverStarted,
    /// The first provider takes its machines back; the second serves the rest.
    Reclaimed,
    /// It runs to its end.
    Served,
    /// Nobody bids.
    Expires,
}

impl Fate {
    /// What a reader is told.
    pub fn text(self) -> &'static str {
        match self {
            Self::RunsDry => "runs dry",
            Self::ToppedUp => "is topped up",
            Self::ClosedEarly => "tenant closes early",
            Self::NeverStarted => "winner never starts",
            Self::Reclaimed => "provider reclaims",
            Self::Served => "served to its end",
            Self::Expires => "no bid",
        }
    }

    /// Why its leases must end, one a round; none where there is no lease.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::RunsDry => &["OutOfFunds"],
            Self::ToppedUp | Self::Served => &["EndReached"],
            Self::ClosedEarly => &["TenantDone"],
            Self::NeverStarted => &["NoStart", "EndReached"],
            Self::Reclaimed => &["Reclaimed", "EndReached"],
            Self::Expires => &[],
        }
    }

    /// Why the order must end.
    pub fn close_reason(self) -> &'static str {
        match self {
            Self::RunsDry => "Underfunded",
            Self::Expires => "Expired",
            _ => "Completed",
        }
    }
}

/// An order to place.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who places it.
    pub tenant: &'static str,
    /// After how many milliseconds.
    pub after_ms: u64,
    /// The class.
    pub class_id: u32,
    /// How many units.
    pub count: u32,
    /// The ceiling of a unit, in ucredit an hour.
    pub ceiling_hourly: u128,
    /// Where the units may be.
    pub zones: &'static [&'static str],
    /// The zone to which distance counts.
    pub near: &'static str,
    /// For how long, in seconds; 0: until it is closed.
    pub duration_s: u32,
    /// How long the auction runs, in blocks.
    pub window_blocks: u32,
    /// For how many seconds at the ceiling the deposit lasts.
    pub deposit_s: u128,
    /// The most rounds.
    pub rounds: u32,
    /// What shall become of it.
    pub fate: Fate,
}

impl Plan {
    /// The ceiling: ucredit a second times 10^18.
    pub fn max_unit_rate(&self) -> u128 {
        rate_of_hourly(self.ceiling_hourly)
    }

    /// The deposit in ucredit, rounded up.
    pub fn deposit(&self) -> u128 {
        (self.ceiling_hourly * u128::from(self.count) * self.deposit_s).div_ceil(3600) + 1
    }
}

const ANYWHERE: &[&str] = &["de", "fi", "is", "nl", "no", "se", "us"];
const EUROPE: &[&str] = &["de", "fi", "is", "nl", "no", "se"];

/// The orders of the play.
pub fn plans() -> Vec<Plan> {
    let plan = Plan {
        tenant: "alice",
        after_ms: 0,
        class_id: 1,
        count: 8,
        ceiling_hourly: 2_400_000,
        zones: ANYWHERE,
        near: "",
        duration_s: 0,
        window_blocks: 90,
        deposit_s: 12,
        rounds: 1,
        fate: Fate::RunsDry,
    };
    let topped_up = Plan {
        tenant: "bruno",
        after_ms: 1_000,
        class_id: 2,
        count: 4,
        ceiling_hourly: 1_200_000,
        duration_s: 24,
        fate: Fate::ToppedUp,
        ..plan.clone()
    };
    let closed_early = Plan {
        tenant: "chiara",
        after_ms: 3_000,
        class_id: 3,
        ceiling_hourly: 500_000,
        near: "de/hesse/frankfurt",
        deposit_s: 120,
        fate: Fate::ClosedEarly,
        ..plan.clone()
    };
    let never_started = Plan {
        tenant: "dmitri",
        after_ms: 5_000,
        class_id: 2,
        count: 2,
        ceiling_hourly: 1_100_000,
        duration_s: 8,
        // Another round costs another window.
        deposit_s: 160,
        rounds: 2,
        fate: Fate::NeverStarted,
        ..plan.clone()
    };
    let reclaimed = Plan {
        after_ms: 7_500,
        count: 4,
        ceiling_hourly: 2_200_000,
        zones: EUROPE,
        duration_s: 16,
        // Another round costs another window.
        deposit_s: 160,
        rounds: 2,
        fate: Fate::Reclaimed,
        ..plan.clone()
    };
    let served = Plan {
        tenant: "bruno",
        after_ms: 10_000,
        class_id: 4,
        ceiling_hourly: 60_000,
        duration_s: 10,
        deposit_s: 90,
        fate: Fate::Served,
        ..plan.clone()
    };
    let expires = Plan {
        tenant: "chiara",
        after_ms: 12_000,
        count: 1,
        ceiling_hourly: 300_000,
        deposit_s: 120,
        fate: Fate::Expires,
        ..plan.clone()
    };
    vec![plan, topped_up, closed_early, never_started, reclaimed, served, expires]
}

/// Orders that are over soon, one a tenant: to be placed again and again.
pub fn brief_plans() -> Vec<Plan> {
    let tenants = ["alice", "bruno", "chiara", "dmitri"];
    let fates = [Fate::RunsDry, Fate::Served, Fate::ClosedEarly, Fate::Reclaimed];
    let story = |fate| plans().into_iter().find(|plan| plan.fate == fate);
    let stories = fates.into_iter().filter_map(story).zip(tenants);
    stories.map(|(plan, tenant)| Plan { tenant, after_ms: 0, window_blocks: 12, rounds: 1, ..plan }).collect()
}

/// What one unit of each class earns in an hour, in ucredit.
pub fn reference_hourly(class_id: u32) -> u128 {
    match class_id {
        1 => 2_000_000,
        2 => 1_000_000,
        3 => 400_000,
        _ => 50_000,
    }
}

/// The classes of the play.
pub fn classes() -> Vec<Class> {
    let class =
        |id: u32, name: &str, (gpus, vram_gib): (u32, u32), vcpus: u32, device_price_usd: u32| Class {
            id,
            name: name.to_owned(),
            gpus,
            vram_mib: vram_gib * 1_024,
            vcpu_milli: vcpus * 1_000,
            memory_mib: vcpus * 8 * 1_024,
            disk_gib: vcpus * 50,
            device_price_usd,
            ref_price_day: (reference_hourly(id) * 24).to_string(),
            active: true,
        };
    vec![
        class(1, "H100 SXM 80 GB", (1, 80), 26, 25_000),
        class(2, "L40S 48 GB", (1, 48), 16, 8_000),
        class(3, "RTX 4090 24 GB", (1, 24), 12, 1_800),
        class(4, "16 vCPU", (0, 0), 16, 900),
    ]
}

/// A provider's machines and manners.
#[derive(Clone, Copy, Debug)]
pub struct Persona {
    /// Which account.
    pub name: &'static str,
    /// Where all its machines are.
    pub zone: &'static str,
    /// Its stake in FLOP.
    pub stake_flop: u128,
    /// Units of each class.
    pub lines: &'static [(u32, u32)],
    /// The lowest price that it asks, in percent of the class's reference.
    pub floor_percent: u128,
    /// Its first bid of an auction, in percent of the ceiling.
    pub opening_percent: u128,
    /// By how much it undercuts the best, in ppm; at least by the market's step.
    pub cut_ppm: u32,
    /// How often it looks, in milliseconds.
    pub pace_ms: u64,
    /// Whether it waits for the last blocks of an auction.
    pub is_sniper: bool,
}

/// The providers of the play.
pub fn personas() -> Vec<Persona> {
    let persona = |name, zone, lines, stake_flop, floor_percent| Persona {
        name,
        zone,
        stake_flop,
        lines,
        floor_percent,
        opening_percent: 97,
        cut_ppm: 25_000,
        pace_ms: 320,
        is_sniper: false,
    };
    vec![
        Persona {
            cut_ppm: 30_000,
            ..persona("aurora", "fi/uusimaa/helsinki", &[(1, 16), (2, 8)], 90_000, 66)
        },
        Persona { pace_ms: 400, ..persona("boreal", "se/norrbotten/lulea", &[(1, 16)], 60_000, 62) },
        persona("cumulus", "de/hesse/frankfurt", &[(1, 8), (2, 16), (3, 16)], 120_000, 70),
        Persona { opening_percent: 99, ..persona("delta", "us/va/ashburn", &[(1, 16), (3, 16)], 80_000, 64) },
        Persona { cut_ppm: 18_000, ..persona("ember", "us/tx/dallas", &[(2, 16), (3, 32)], 50_000, 58) },
        Persona { pace_ms: 260, ..persona("fjord", "no/vestland/bergen", &[(1, 8), (4, 32)], 70_000, 63) },
        Persona {
            opening_percent: 94,
            ..persona("glacier", "is/capital/reykjavik", &[(2, 16), (3, 16), (4, 32)], 60_000, 60)
        },
        Persona {
            is_sniper: true,
            pace_ms: 50,
            cut_ppm: 12_000,
            ..persona("harbor", "nl/noord/amsterdam", &[(2, 8), (3, 16), (4, 32)], 100_000, 56)
        },
    ]
}
