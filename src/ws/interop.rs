//! Other people's clients against a small server on this codec: tungstenite, and yawc, which deflates.

use std::ops::ControlFlow;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tokio_tungstenite::tungstenite::{self, Error, client::IntoClientRequest as _};

use super::{CloseCode, Decoder, Deflater, Message, OpCode, frame, handshake};

const MAX: usize = 1 << 20;

/// Reads the request's head, answers it, and says every message again until a close or a violation.
/// Gives what was agreed on: the protocol and whether to deflate.
async fn serve(mut socket: DuplexStream) -> (Option<String>, bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut request = http::Request::get("/");
    for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    let (request, ()) = request.body(()).unwrap().into_parts();
    assert!(handshake::wants_websocket(&request.method, request.version, &request.headers));
    let offer = handshake::check_h1(&request).unwrap();
    let protocol = offer.protocols.last().cloned();
    let response = handshake::response(&offer, protocol.as_deref());
    let mut answer = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        answer += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    socket.write_all((answer + "\r\n").as_bytes()).await.unwrap();
    let deflate = offer.deflate.is_some();
    echo(socket, deflate).await;
    (protocol, deflate)
}

async fn echo(mut socket: DuplexStream, deflate: bool) {
    let mut decoder = Decoder::new(MAX, deflate);
    let mut deflater = deflate.then(Deflater::new);
    let mut scratch = vec![0; 4096];
    loop {
        let read = socket.read(&mut scratch).await.unwrap();
        if read == 0 {
            return;
        }
        let mut input = &mut scratch[..read];
        loop {
            let said = match decoder.next(&mut input) {
                Ok(None) => break,
                Ok(Some(message)) => answer(message, deflater.as_mut()),
                Err(violation) => ControlFlow::Break(frame::close(violation.code, violation.reason)),
            };
            match said {
                ControlFlow::Continue(frame) => socket.write_all(&frame).await.unwrap(),
                ControlFlow::Break(frame) => return socket.write_all(&frame).await.unwrap(),
            }
        }
    }
}

fn answer(message: Message, deflater: Option<&mut Deflater>) -> ControlFlow<bytes::Bytes, bytes::Bytes> {
    let data = |opcode, payload: &[u8]| {
        let mut writer = frame::FrameWriter::with_capacity(payload.len());
        let rsv1 = deflater.is_some();
        match deflater {
            Some(deflater) => deflater.compress(payload, writer.payload()),
            None => writer.payload().extend_from_slice(payload),
        }
        writer.finish(opcode, rsv1)
    };
    ControlFlow::Continue(match message {
        Message::Text(text) => data(OpCode::Text, text.as_bytes()),
        Message::Binary(bytes) => data(OpCode::Binary, &bytes),
        Message::Ping(payload) => frame::pong(&payload),
        Message::Pong(_) => frame::text("pong"),
        Message::Close(said) => {
            let code = said.as_ref().map_or(CloseCode::NO_STATUS, |frame| frame.code);
            return ControlFlow::Break(frame::close(code, &said.map(|frame| frame.reason).unwrap_or_default()));
        }
    })
}

/// Lengths on both sides of every form of the length.
const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, 300_000];

#[tokio::test]
async fn tungstenite_speaks_with_us() {
    let (ours, theirs) = duplex(8192);
    let client = async {
        let mut request = "ws://example.com/ws".into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("v1, v2"));
        let (mut socket, response) = client_async(request, theirs).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "v2");
        for len in LENGTHS {
            let text = tungstenite::Message::text("€".repeat(len / 3) + &"a".repeat(len % 3));
            socket.send(text.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), text);
            let binary = tungstenite::Message::binary(vec![0xff; len]);
            socket.send(binary.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), binary);
        }
        socket.send(tungstenite::Message::Ping("p".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), tungstenite::Message::Pong("p".into()));
        let close = tungstenite::protocol::CloseFrame { code: TheirCode::Library(4001), reason: "done".into() };
        socket.close(Some(close.clone())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), tungstenite::Message::Close(Some(close)));
        assert!(socket.next().await.is_none_or(|end| matches!(end, Err(Error::ConnectionClosed))));
    };
    let (agreed, ()) = tokio::join!(serve(ours), client);
    assert_eq!(agreed, (Some("v2".to_owned()), false));
}

#[tokio::test]
async fn tungstenite_is_told_why_we_close() {
    let (ours, theirs) = duplex(8192);
    let client = async {
        let (mut socket, _) = client_async("ws://example.com/ws", theirs).await.unwrap();
        // More than the limit: it is refused by its head, before most of it has been written.
        let sent = socket.send(tungstenite::Message::binary(vec![0; MAX + 1])).await;
        assert!(sent.is_err());
        let said = socket.next().await.unwrap().unwrap();
        let tungstenite::Message::Close(Some(close)) = said else { panic!("{said:?}") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1009, "message too big"));
    };
    tokio::join!(serve(ours), client);
}

/// Echoes what is compressible and what is not through yawc with these options; whether it was deflated.
async fn through_yawc(options: yawc::Options) -> bool {
    let (ours, theirs) = duplex(8192);
    let client = async {
        let url = "ws://example.com/ws".parse().unwrap();
        let mut socket = yawc::WebSocket::handshake(url, theirs, options).await.unwrap();
        for len in LENGTHS {
            let noise: Vec<u8> = (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let line = |at: usize| format!("{{\"host\":\"web-{at}\",\"cpu\":{}}},", at * 7 % 100);
            let text: String = (0..len / 20).map(line).collect();
            for (sent, opcode) in [(noise, yawc::OpCode::Binary), (text.into_bytes(), yawc::OpCode::Text)] {
                let text = opcode == yawc::OpCode::Text;
                let said = if text { yawc::Frame::text(sent.clone()) } else { yawc::Frame::binary(sent.clone()) };
                socket.send(said).await.unwrap();
                let got = socket.next().await.unwrap();
                assert_eq!(got.opcode(), opcode);
                assert!(got.payload()[..] == sent[..], "{opcode:?} of {len}");
            }
        }
        socket.send(yawc::Frame::close(yawc::close::CloseCode::Normal, "done")).await.unwrap();
        while let Some(last) = socket.next().await {
            assert_eq!(last.close_code(), Some(yawc::close::CloseCode::Normal));
        }
    };
    let ((_, deflate), ()) = tokio::join!(serve(ours), client);
    deflate
}

#[tokio::test]
async fn yawc_speaks_with_us_deflated() {
    assert!(through_yawc(yawc::Options::default().with_balanced_compression()).await);
    assert!(through_yawc(yawc::Options::default().with_low_latency_compression()).await);
}

#[tokio::test]
async fn yawc_speaks_with_us_plain() {
    assert!(!through_yawc(yawc::Options::default().without_compression()).await);
}
