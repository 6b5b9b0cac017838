//! Taking stake back, leaving, and coming back.

use kernel::DueQueue;

use super::*;
use crate::{Outcome, SlashReason, Status, UNBONDINGS_DUE, UNBONDINGS_HELD, block::begin_block};

const UNBONDING_S: u64 = 1_814_400;

fn due(chain: &Chain) -> Option<u64> {
    DueQueue::first(&UNBONDINGS_DUE, &chain.ctx).unwrap().map(At::value)
}

#[test]
fn free_stake_is_paid_when_it_has_unbonded() {
    let mut chain = Chain::with_provider();
    chain.run(unstake(1, 500)).unwrap();
    assert_eq!(chain.events(), ["UnbondingStarted"]);
    assert_eq!((chain.stake(1).0, chain.pool()), (u128::from(STAKE) - 500, u128::from(STAKE)));
    assert_eq!(due(&chain), Some(NOW + UNBONDING_S));
    chain.wait(UNBONDING_S - 1);
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 0);
    chain.wait(1);
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 1);
    assert_eq!(chain.events(), ["UnbondingPaid"]);
    assert_eq!(chain.flop(address(1)), u128::from(FUNDS - STAKE) + 500);
    assert_eq!((due(&chain), chain.provider(1).status), (None, Status::Active));
    chain.check();
}

#[test]
fn unstaking_has_its_guards_in_order() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 100)).unwrap();
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 1, amount(1_000_000)).unwrap();
    let free = STAKE - 1_000_000;
    let short = Error::InsufficientFreeStake { needed: amount(free + 1), free: amount(free) };
    chain.refuses(unstake(1, free + 1), short);
    // 700 USD are required: 1_400_000_000 uflop.
    let spare = STAKE - 1_400_000_000;
    let below = Error::StakeBelowRequired { stake_uc: amount(699_999_999), required_uc: amount(700_000_000) };
    chain.refuses(unstake(1, spare + 1), below);
    for _ in 0..8 {
        chain.run(unstake(1, spare / 8)).unwrap();
    }
    chain.refuses(
        unstake(1, spare % 8 + 1),
        Error::StakeBelowRequired { stake_uc: amount(699_999_999), required_uc: amount(700_000_000) },
    );
    chain.run(add_stake(1, 10)).unwrap();
    chain.refuses(unstake(1, 1), Error::TooManyUnbondings { unbondings_max: 8 });
    chain.refuses(unstake(2, 1), Error::UnknownProvider { provider: address(2) });
    assert!(chain.run(unstake(1, 0)).is_err());
    chain.wait(UNBONDING_S);
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 8);
    chain.run(unstake(1, 1)).unwrap();
    assert_eq!(chain.provider(1).unbonding_seq, 9);
}

#[test]
fn a_provider_leaves_and_comes_back_with_its_scores() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 2, amount(100)).unwrap();
    let busy = || Error::ProviderBusy { provider: address(1), class_id: 1, zone: zone(FRA) };
    chain.refuses(exit(1), busy());
    crate::commit(&mut chain.ctx, address(1), 1, &zone(FRA), 2).unwrap();
    chain.refuses(exit(1), busy());
    crate::slash(&mut chain.ctx, address(1), amount(100), amount(100), None, SlashReason::Abandoned).unwrap();
    crate::release_slashed(&mut chain.ctx, address(1), 1, &zone(FRA), 2).unwrap();
    crate::record(&mut chain.ctx, address(1), Outcome::Bad(amount(77))).unwrap();
    for _ in 0..8 {
        chain.run(unstake(1, 1)).unwrap();
    }
    chain.events();
    chain.wait(100);
    chain.run(exit(1)).unwrap();
    assert_eq!(chain.events(), ["ExitStarted"]);
    let gone = chain.provider(1);
    assert_eq!((gone.status, gone.stake_total, gone.unbonding_seq), (Status::Exiting, Amount::ZERO, 9));
    assert_eq!((chain.line(1, 1, FRA), chain.pool()), (None, u128::from(STAKE) - 100));
    let not_active = || Error::ProviderNotActive { provider: address(1), status: Status::Exiting };
    chain.refuses(exit(1), not_active());
    chain.refuses(update(1, &[]), not_active());
    chain.refuses(set_operators(1, &[]), not_active());
    chain.refuses(add_stake(1, 1), not_active());
    chain.refuses(unstake(1, 1), not_active());
    chain.refuses(capacity(1, 1, 1, FRA, 1), not_active());
    chain.refuses(
        register(1, STAKE, &[]),
        Error::AlreadyRegistered { provider: address(1), status: Status::Exiting },
    );
    let stranger = Error::NotOperator { provider: address(1), actor: address(11) };
    chain.refuses(capacity(11, 1, 1, FRA, 1), stranger);

    chain.events();
    chain.wait(UNBONDING_S - 100);
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 8);
    assert_eq!(chain.provider(1).status, Status::Exiting);
    chain.check();
    chain.wait(100);
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 1);
    assert_eq!(chain.events().split_off(8), ["UnbondingPaid", "ProviderExited"]);
    chain.check();
    assert_eq!((chain.provider(1).status, chain.flop(address(1))), (Status::Exited, u128::from(FUNDS) - 100));

    chain.run(register(1, STAKE, &[12])).unwrap();
    let back = chain.provider(1);
    assert_eq!((back.status, back.bad, back.slash_ppm), (Status::Active, amount(77), 1), "its past is kept");
    assert_eq!((back.created_at, back.unbonding_seq), (at(NOW), 9));
}

#[test]
fn a_block_pays_as_many_as_its_budget_allows_oldest_first() {
    let mut chain = Chain::with_provider();
    let tight = Params { unbondings_per_block_max: 2, ..params() };
    crate::state::PARAMS.set(&mut chain.ctx, &tight).unwrap();
    for units in 1..=3 {
        chain.run(unstake(1, units)).unwrap();
        chain.wait(1);
    }
    chain.wait(UNBONDING_S);
    let drained = begin_block(&mut chain.ctx).unwrap();
    assert_eq!((drained.done, drained.backlog), (2, true));
    assert_eq!(chain.flop(address(1)), u128::from(FUNDS - STAKE) + 3);
    let drained = begin_block(&mut chain.ctx).unwrap();
    assert_eq!((drained.done, drained.backlog), (1, false));
    chain.check();
}

#[test]
fn an_unbonding_that_cannot_be_paid_waits_and_is_tried_again() {
    let mut chain = Chain::with_provider();
    chain.run(unstake(1, 500)).unwrap();
    chain.wait(UNBONDING_S);
    bank::transfer(&mut chain.ctx, stake_pool(), address(5), &bank::uflop(), amount(STAKE)).unwrap();
    assert_eq!(begin_block(&mut chain.ctx).unwrap().held, 1);
    assert_eq!(due(&chain), None);
    let retry_at = DueQueue::first(&UNBONDINGS_HELD, &chain.ctx).unwrap().unwrap();
    bank::transfer(&mut chain.ctx, address(5), stake_pool(), &bank::uflop(), amount(STAKE)).unwrap();
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 0, "not yet");
    chain.ctx.block.height = retry_at;
    assert_eq!(begin_block(&mut chain.ctx).unwrap().done, 1);
    assert_eq!(chain.flop(address(1)), u128::from(FUNDS - STAKE) + 500);
    chain.check();
}

#[test]
fn what_paying_costs_is_prepaid() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 1)).unwrap();
    // The longest record that parameters can allow.
    let longest = Params { endpoints_max: 1, endpoint_len_max: 797, operators_max: 0, ..params() };
    longest.check().unwrap();
    crate::state::PARAMS.set(&mut chain.ctx, &longest).unwrap();
    chain.run(update(1, &["x".repeat(797)])).unwrap();
    chain.run(exit(1)).unwrap();
    let before = chain.ctx.gas_used();
    crate::block::pay_unbonding(&mut chain.ctx, &(address(1), 1)).unwrap();
    let used = chain.ctx.gas_used() - before;
    assert!(used <= crate::msgs::UNBONDING_GAS, "{used}");
    let prepaid = |msg: Msg| assert_eq!(msg.base_gas(), crate::msgs::UNBONDING_GAS);
    prepaid(Msg::ExitProvider(address(1), crate::ExitProvider));
    prepaid(Msg::Unstake(address(1), crate::Unstake { amount: amount(1) }));
}
