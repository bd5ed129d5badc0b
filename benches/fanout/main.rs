//! What a viewer costs: CPU a delivered message, memory, and how others fare meanwhile, beside the floor.
//!
//! `cargo bench --bench fanout` prints everything; `-- fanout`, `-- memory`, `-- crowd`, `-- stall`, `-- ready` one part.
//! `VIEWERS`, `SECONDS` and `ROUNDS` in the environment change the size.
//!
//! The server runs in a process of its own on core 0, the load on core 1. A delivered message is a 200-byte text, 10 a
//! second to each viewer; CPU time is the server's whole process, from `/proc/PID/task/*/schedstat`. The floor is a
//! bare loop in a process of the same kind: one `send` a viewer, or one rustls write and `send`, and nothing else.

#![allow(clippy::disallowed_types, reason = "a bench measures real time, and its floor has no runtime")]
#![allow(unreachable_pub, reason = "a bench has no outside to be public to")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says so by ending")]
#![allow(clippy::disallowed_methods, reason = "load is spawned where it is made")]

mod crowd;
mod floor;
mod load;
mod measure;
mod parts;
mod server;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "what other benches use of it")]
mod support;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match &args[..] {
        [role, kind, viewers] if role == "--floor" => return floor::serve(kind, viewers),
        [role, address] if role == "--notice" => return crowd::notice(address.parse().unwrap()),
        _ => {}
    }
    let wanted = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    // Without the tool the figures are only less steady.
    let _ = support::process::pin_this(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, part) in parts::ALL {
            if wanted(name) {
                println!("\n== {name}");
                part().await;
            }
        }
    });
}
