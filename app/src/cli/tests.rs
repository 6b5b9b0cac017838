use super::*;

#[test]
fn every_command_is_well_formed() {
    command(&Reflection::new().unwrap()).debug_assert();
}
