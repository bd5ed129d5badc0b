//! `[route.session]`: WebSockets that are understood.

use super::normal::{self, DeliveryKeys, NormalKeys};
use super::{ANY, duration, size, whole};
use crate::config::field::Field;
use crate::config::file::SessionFile;
use crate::config::problems::Problems;
use crate::handler::{Held, SessionOptions};
use crate::limits;

pub(super) fn session(file: SessionFile, problems: &mut Problems) -> SessionOptions {
    let normalize = normal::normalize(
        NormalKeys {
            type_: file.type_,
            skip: file.skip,
            skip_system: file.skip_system,
            rename: file.rename,
            key: Field::Absent,
            naive_time: file.naive_time,
        },
        problems,
    );
    let delivery = normal::delivery(
        DeliveryKeys {
            shape: file.shape,
            greet: Field::Absent,
            keepalive: file.keepalive,
            ping: file.ping,
            pong_timeout: file.pong_timeout,
            notices: file.notices,
        },
        problems,
    );
    SessionOptions {
        normalize,
        delivery,
        hold: duration(file.hold, ANY, limits::HOLD, problems),
        resend: whole(file.resend, 0..=limits::RESEND_MAX, 0, problems),
        held: file.held.value(problems).map_or(Held::default(), |word| word.0),
        max_message: size(file.max_message, 1..=limits::MAX_MESSAGE_MAX, limits::MAX_MESSAGE, problems),
    }
}
