//! What would cost memory: bombs and floods.

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::AsyncWriteExt;

use super::Scene;
use crate::support::Instance;
use crate::support::raw_ws::{PING, PONG, RawWs, masked};

#[tokio::test]
async fn a_deflate_bomb_is_closed_with_1009_and_costs_no_memory() {
    let mut scene = Scene::start().await;
    let before = resident(&scene.instance);
    for zeros in [70_000, 50_000_000] {
        let bomb = deflated(&vec![b' '; zeros]);
        let deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")];
        let mut socket = RawWs::connect(scene.address(), "/events", &deflate).await;
        assert!(socket.head.to_lowercase().contains("permessage-deflate"), "{}", socket.head);
        socket.send(&masked(0xc1, &bomb)).await;
        assert_eq!(socket.closed().await.0, 1009);
    }
    let mut socket =
        RawWs::connect(scene.address(), "/events", &[("Sec-WebSocket-Extensions", "permessage-deflate")]).await;
    socket.send(&masked(0xc1, b"\xff\xff\xff\xff")).await;
    assert_eq!(socket.closed().await.0, 1007);
    assert!(resident(&scene.instance) < before + 8 * 1024, "{before} KiB before");
    scene.instance.lines(" closed 1009 ", 2).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_flood_of_pings_from_one_who_does_not_read_is_bounded() {
    let mut scene = Scene::start().await;
    let before = resident(&scene.instance);
    let flooding = RawWs::connect(scene.address(), "/events", &[]).await;
    let (_unread, mut writing) = flooding.raw.stream.into_split();
    let flood = masked(0x80 | PING, &[b'p'; 125]).repeat(1000);
    let flood = tokio::spawn(async move { while writing.write_all(&flood).await.is_ok() {} });
    for _ in 0..50 {
        scene.undisturbed().await;
    }
    assert!(!flood.is_finished(), "the flood is held back, not cut off");
    assert!(resident(&scene.instance) < before + 8 * 1024, "{before} KiB before");
    flood.abort();
}

#[tokio::test]
async fn every_ping_of_one_who_reads_is_answered_in_order() {
    let mut scene = Scene::start().await;
    let mut socket = RawWs::connect(scene.address(), "/events", &[]).await;
    for round in 0..20u32 {
        let pings: Vec<u8> =
            (0..200u32).flat_map(|number| masked(0x80 | PING, &(round * 200 + number).to_be_bytes())).collect();
        socket.send(&pings).await;
        for number in 0..200u32 {
            assert_eq!(socket.next(PONG).await, (round * 200 + number).to_be_bytes());
        }
    }
    scene.undisturbed().await;
}

/// The memory the process has resident, in KiB.
fn resident(instance: &Instance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", instance.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A permessage-deflate payload (RFC 7692, section 7.2.1).
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(text.len() / 100 + 1024);
    compress.compress_vec(text, &mut out, FlushCompress::Sync).expect("it deflates");
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}
