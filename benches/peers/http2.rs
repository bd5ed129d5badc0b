//! The load's HTTP/2 (RFC 9113), written by hand so that it costs next to nothing: it reads frames, counts each stream's
//! bytes, looks at each status, and starts a stream in the place of each that ends.
//!
//! Requests use the header compression's table (RFC 7541) as browsers do; of the answers' headers only the status is read.

use std::convert::Infallible;
use std::time::Instant;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Outcome;
use super::load::Stream;
use super::rows::{Answer, STREAMS};
use super::tally::Tally;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Setting 1, SETTINGS_HEADER_TABLE_SIZE, and what it is unless said.
const TABLE_SIZE: (u16, u32) = (1, 4096);
/// Setting 4, SETTINGS_INITIAL_WINDOW_SIZE: an answer needs no update.
const STREAM_WINDOW: (u16, u32) = (4, 4 << 20);
/// Of the connection, given back half by half.
const WINDOW: u32 = 1 << 30;

/// One connection.
struct Client<'a> {
    stream: Stream,
    answer: Answer,
    tally: &'a Tally,
    input: BytesMut,
    output: BytesMut,
    places: [Place; STREAMS],
    next_id: u32,
    received: u32,
}

/// A stream under way.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: u32,
    began: Instant,
    bytes: usize,
    status_seen: bool,
}

/// Asks again and again, [`STREAMS`] at a time.
pub async fn repeat(stream: Stream, answer: Answer, tally: &Tally) -> Outcome<Infallible> {
    let place = Place { id: 0, began: Instant::now(), bytes: 0, status_seen: false };
    let mut client = Client {
        stream,
        answer,
        tally,
        input: BytesMut::with_capacity(64 << 10),
        output: BytesMut::new(),
        places: [place; STREAMS],
        next_id: 1,
        received: 0,
    };
    client.run().await
}

impl Client<'_> {
    async fn run(&mut self) -> Outcome<Infallible> {
        self.output.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        self.frame(SETTINGS, 0, 0, 6);
        self.output.put_u16(STREAM_WINDOW.0);
        self.output.put_u32(STREAM_WINDOW.1);
        self.frame(WINDOW_UPDATE, 0, 0, 4);
        self.output.put_u32(WINDOW);
        loop {
            if !self.output.is_empty() {
                self.stream.write_all_buf(&mut self.output).await?;
                self.stream.flush().await?;
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err("the connection was ended".into());
            }
            while let Some((kind, flags, id, payload)) = take_frame(&mut self.input) {
                self.on_frame(kind, flags, id, payload)?;
            }
            self.input.reserve(32 << 10);
        }
    }

    fn on_frame(&mut self, kind: u8, flags: u8, id: u32, payload: BytesMut) -> Outcome<()> {
        match kind {
            DATA => return self.on_data(flags, id, payload),
            HEADERS => return self.on_headers(flags, id, payload),
            SETTINGS if flags & ACK == 0 => return self.on_settings(payload),
            PING if flags & ACK == 0 => {
                self.frame(PING, ACK, 0, 8);
                self.output.extend_from_slice(&payload);
            }
            RST_STREAM => return Err(format!("stream {id} was reset: {payload:?}").into()),
            GOAWAY => return Err(format!("told to go away: {payload:?}").into()),
            _ => {}
        }
        Ok(())
    }

    /// The server's preface: requests may begin.
    fn on_settings(&mut self, mut payload: BytesMut) -> Outcome<()> {
        while payload.len() >= 6 {
            let setting = (payload.get_u16(), payload.get_u32());
            if setting.0 == TABLE_SIZE.0 && setting.1 < TABLE_SIZE.1 {
                return Err(format!("a header table of {} bytes is not what this load can do", setting.1).into());
            }
        }
        self.frame(SETTINGS, ACK, 0, 0);
        if self.next_id == 1 {
            for place in 0..STREAMS {
                self.ask(place);
            }
        }
        Ok(())
    }

    fn on_headers(&mut self, flags: u8, id: u32, mut payload: BytesMut) -> Outcome<()> {
        if flags & PADDED != 0 {
            payload.advance(1);
        }
        if flags & PRIORITY != 0 {
            payload.advance(5);
        }
        // What may stand before the first field is the table's new size.
        while payload.first().is_some_and(|byte| byte & 0xe0 == 0x20) {
            let long = payload.get_u8() & 0x1f == 0x1f;
            while long && payload.has_remaining() && payload.get_u8() & 0x80 != 0 {}
        }
        let place = self.place(id)?;
        // `:status 200` is the table's 8th entry; all that is more, is trailers.
        let status_ok = self.places[place].status_seen || payload.first() == Some(&0x88);
        self.places[place].status_seen = true;
        if !status_ok {
            return Err(format!("the status is not 200: {payload:?}").into());
        }
        if flags & END_STREAM != 0 { self.on_end(place) } else { Ok(()) }
    }

    fn on_data(&mut self, flags: u8, id: u32, payload: BytesMut) -> Outcome<()> {
        let padding = if flags & PADDED == 0 { 0 } else { 1 + payload.first().map_or(0, |byte| usize::from(*byte)) };
        let place = self.place(id)?;
        self.places[place].bytes += payload.len().saturating_sub(padding);
        self.received += u32::try_from(payload.len())?;
        if self.received > WINDOW / 2 {
            self.frame(WINDOW_UPDATE, 0, 0, 4);
            self.output.put_u32(self.received);
            self.received = 0;
        }
        if flags & END_STREAM != 0 { self.on_end(place) } else { Ok(()) }
    }

    fn on_end(&mut self, place: usize) -> Outcome<()> {
        let Place { id, began, bytes, status_seen } = self.places[place];
        if bytes != self.answer.bytes || !status_seen {
            return Err(format!("{bytes} bytes, and not {}", self.answer.bytes).into());
        }
        self.tally.done(began);
        if id == 1 {
            self.tally.seat();
        }
        self.ask(place);
        Ok(())
    }

    /// Starts a stream in this place.
    fn ask(&mut self, place: usize) {
        let id = self.next_id;
        self.next_id += 2;
        self.places[place] = Place { id, began: Instant::now(), bytes: 0, status_seen: false };
        let mut block = vec![0x82, 0x87]; // :method GET, :scheme https
        if id == 1 {
            // :path, :authority, user-agent and accept, each put into the table.
            let fields = [(0x44, self.answer.path), (0x41, "localhost"), (0x7a, "peers"), (0x53, "*/*")];
            for (name, value) in fields {
                block.extend([name, value.len() as u8]);
                block.extend_from_slice(value.as_bytes());
            }
        } else {
            block.extend([0xc1, 0xc0, 0xbf, 0xbe]);
        }
        self.frame(HEADERS, END_STREAM | END_HEADERS, id, block.len());
        self.output.extend_from_slice(&block);
    }

    fn place(&self, id: u32) -> Outcome<usize> {
        let place = self.places.iter().position(|place| place.id == id);
        place.ok_or_else(|| format!("stream {id} is not under way").into())
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, length: usize) {
        self.output.put_uint(length as u64, 3);
        self.output.put_u8(kind);
        self.output.put_u8(flags);
        self.output.put_u32(id);
    }
}

/// Type, flags, stream and payload of the first frame, where it is whole.
fn take_frame(input: &mut BytesMut) -> Option<(u8, u8, u32, BytesMut)> {
    let mut head = input.get(..9)?;
    let length = usize::try_from(head.get_uint(3)).ok()?;
    let (kind, flags, id) = (head.get_u8(), head.get_u8(), head.get_u32() & 0x7fff_ffff);
    if input.len() < 9 + length {
        return None;
    }
    input.advance(9);
    Some((kind, flags, id, input.split_to(length)))
}
