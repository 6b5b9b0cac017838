//! Known attacks. Each counts what all who take part in it have, credit, FLOP and stake, before and after: none has more.
