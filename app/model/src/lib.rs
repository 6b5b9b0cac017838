//! A second opinion on the market.
