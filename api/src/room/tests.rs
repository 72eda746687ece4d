use rstest::rstest;
use shared::config::{Settings, Sources};

use super::*;

const MIB: usize = 1024 * 1024;

/// A room of 16 MiB: 8 for a tenant, 4 without a key, 2 for a network.
fn room() -> Room {
    let environment = [("BODIES_BYTES", 16 * MIB), ("BODY_BYTES", MIB), ("KEYED_BODY_BYTES", MIB)];
    let environment = environment.map(|(name, bytes)| (format!("XIAOYI_LIMITS_{name}"), bytes.to_string())).into();
    Room::new(&Settings::load(&Sources { environment, ..Sources::default() }).unwrap().limits)
}

fn tenant(id: i64) -> Sender {
    Sender::Tenant(TenantId(id))
}

fn network(last: u8) -> Sender {
    Sender::Network(Some([10, 0, 0, last].into()))
}

/// As many whole MiB as this sender gets.
fn fill(room: &Room, sender: Sender) -> Vec<Share> {
    std::iter::from_fn(|| {
        let mut share = room.share(sender);
        share.cover(MIB, Some(MIB), MIB).then_some(share)
    })
    .collect()
}

/// Who comes in turn, and how many MiB each gets.
#[rstest]
#[case::a_tenant_gets_half(&[(tenant(1), 8), (tenant(1), 0)])]
#[case::tenants_get_all_of_it(&[(tenant(1), 8), (tenant(2), 8), (tenant(3), 0), (network(1), 0)])]
#[case::a_network_gets_an_eighth(&[(network(1), 2), (network(1), 0)])]
#[case::without_a_key_all_get_a_quarter(&[(network(1), 2), (network(2), 2), (network(3), 0), (Sender::Network(None), 0)])]
#[case::and_keep_nobody_out_who_has_one(&[(network(1), 2), (network(2), 2), (tenant(1), 8), (tenant(2), 4)])]
fn who_gets_how_much(#[case] turns: &[(Sender, usize)]) {
    let room = room();
    let shares: Vec<_> = turns.iter().map(|(sender, _)| fill(&room, *sender)).collect();
    let got: Vec<_> = shares.iter().map(Vec::len).collect();
    assert_eq!(got, turns.iter().map(|(_, expected)| *expected).collect::<Vec<_>>());
    drop(shares);
    assert!(room.taken.is_empty(), "all came back: {room:?}");
}

/// What has arrived, what was declared, and how much room that takes, of at most 1 MiB.
#[rstest]
#[case::all_that_was_declared(20_000, Some(MIB - 1), MIB - 1)]
#[case::else_a_step(20_000, None, STEP_BYTES)]
#[case::the_next_step(STEP_BYTES + 1, None, 2 * STEP_BYTES)]
#[case::the_last_step(MIB - 1, None, MIB)]
fn how_much_room_is_taken(#[case] arrived: usize, #[case] declared: Option<usize>, #[case] expected: usize) {
    let room = room();
    let mut share = room.share(tenant(1));
    assert!(share.cover(arrived, declared, MIB));
    assert_eq!(room.taken.taken(&Bounded::All), expected);
    assert!(share.cover(expected, declared, MIB), "it is covered");
    assert_eq!(room.taken.taken(&Bounded::All), expected);
}

#[test]
fn what_was_refused_takes_nothing_more() {
    let room = room();
    let mut others = fill(&room, tenant(1));
    others.pop();
    let mut share = room.share(tenant(1));
    assert!(share.cover(MIB - STEP_BYTES, None, 2 * MIB) && !share.cover(MIB + 1, None, 2 * MIB));
    assert_eq!(room.taken.taken(&Bounded::All), 8 * MIB - STEP_BYTES);
    drop(others);
    assert!(share.cover(MIB + 1, None, 2 * MIB), "others have left");
    drop(share);
    assert_eq!(room.taken.taken(&Bounded::All), 0);
}
