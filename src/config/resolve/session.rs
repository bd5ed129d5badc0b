//! `[route.session]`: WebSockets that are understood.

use super::normal::{self, DeliveryKeys, NormalKeys};
use super::{ANY, duration, size, whole};
use crate::config::choice::OneOf;
use crate::config::field::Field;
use crate::config::file::SessionFile;
use crate::config::problem::Wrong;
use crate::config::problems::Problems;
use crate::config::values::Parsed;
use crate::feed::Shape;
use crate::handler::{Held, SessionOptions};
use crate::limits;

pub(super) fn session(file: SessionFile, problems: &mut Problems) -> SessionOptions {
    needless(&file, problems);
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

/// Reports the keys that others make needless.
fn needless(file: &SessionFile, problems: &mut Problems) {
    let holds_none = matches!(&file.hold, Field::Given(_, Parsed(hold)) if hold.is_zero());
    let is_raw = matches!(&file.shape, Field::Given(_, OneOf(Shape::Raw)));
    let keys = [
        ("resend", holds_none, file.resend.right(problems)),
        ("held", holds_none, file.held.right(problems)),
        ("type", is_raw, file.type_.right(problems)),
        ("rename", is_raw, file.rename.right(problems)),
        ("naive_time", is_raw, file.naive_time.right(problems)),
    ];
    for (key, is_needless, span) in keys {
        let Some(span) = span.filter(|_| is_needless) else { continue };
        let (why, instead) = if is_raw && matches!(key, "type" | "rename" | "naive_time") {
            ("in shape raw every message is told as it came", "remove it, or write another `shape`")
        } else {
            ("with hold = \"0s\" no upstream socket is waited for", "remove it, or give `hold` a time")
        };
        problems.warning(span, Wrong::new(format!("`{key}` changes nothing: {why}"), instead));
    }
}
