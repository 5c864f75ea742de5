//! The stories are beside this file: `cargo run --release --example sprites`.
