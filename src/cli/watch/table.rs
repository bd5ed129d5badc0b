//! The live table: the loop between messages, keys and pictures, and the terminal that it borrows.
//!
//! Owns: the terminal, given back on every way out (a panic included). Never: draws; [`super::view`] does.

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::End;
use super::link::Event;
use super::view::{self, Status, View};
use crate::limits;

/// Pictures without anything new are this many ticks apart: countdowns show tenths of a second.
const STILL_TICKS: u32 = 2;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Quit,
    Redial,
    Pause,
    /// By this many lines, down where positive.
    Scroll(isize),
}

/// The terminal in raw mode, on its alternate screen.
struct Screen(DefaultTerminal);

impl Screen {
    /// # Errors
    /// When stdout is no terminal that can be drawn to.
    fn open() -> io::Result<Screen> {
        // Also sets a panic hook that gives the terminal back before the panic is told.
        ratatui::try_init().map(Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows what happens until a key, a signal or the count ends it.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(
    title: String,
    count: Option<NonZeroU64>,
    events: &mut mpsc::Receiver<Event>,
    redial: &Notify,
) -> io::Result<End> {
    let mut signals =
        [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?];
    let mut screen = Screen::open()?;
    let mut view = View::new(title, Instant::now());
    let mut ticks = interval(limits::WATCH_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut changed, mut still) = (true, 0);
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return Ok(End::Done) };
                apply(&mut view, event, Instant::now());
                changed = true;
                if count.is_some_and(|count| view.model.messages >= count.get()) {
                    return Ok(End::Done);
                }
            }
            () = any(&mut signals) => return Ok(End::Done),
            _ = ticks.tick() => {
                while let Some(action) = next_action(&mut changed)? {
                    if action == Action::Quit {
                        return Ok(End::Done);
                    }
                    obey(&mut view, action, redial);
                }
                still += 1;
                if changed || still >= STILL_TICKS {
                    let mut furthest = 0;
                    screen.0.draw(|frame| furthest = view::draw(frame, &view, Instant::now()))?;
                    view.scroll = view.scroll.min(furthest);
                    (changed, still) = (false, 0);
                }
            }
        }
    }
}

async fn any([first, second, third]: &mut [Signal; 3]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
        _ = third.recv() => {}
    }
}

/// The next key that has been pressed and means something; nothing is waited for. Sets `changed` when the terminal's
/// size did.
fn next_action(changed: &mut bool) -> io::Result<Option<Action>> {
    while event::poll(Duration::ZERO)? {
        match event::read()? {
            TerminalEvent::Key(key) => {
                if let Some(action) = action(key) {
                    *changed = true;
                    return Ok(Some(action));
                }
            }
            TerminalEvent::Resize(..) => *changed = true,
            TerminalEvent::FocusGained
            | TerminalEvent::FocusLost
            | TerminalEvent::Mouse(_)
            | TerminalEvent::Paste(_) => {}
        }
    }
    Ok(None)
}

fn action(key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Action::Quit);
    }
    if let KeyCode::Char(letter) = key.code {
        return match letter.to_ascii_lowercase() {
            'q' => Some(Action::Quit),
            'r' => Some(Action::Redial),
            'p' | ' ' => Some(Action::Pause),
            'k' => Some(Action::Scroll(-1)),
            'j' => Some(Action::Scroll(1)),
            _ => None,
        };
    }
    let by = [
        (KeyCode::Up, -1),
        (KeyCode::Down, 1),
        (KeyCode::PageUp, -10),
        (KeyCode::PageDown, 10),
        (KeyCode::Home, isize::MIN),
        (KeyCode::End, isize::MAX),
    ];
    by.into_iter().find(|(code, _)| *code == key.code).map(|(_, lines)| Action::Scroll(lines))
}

fn obey(view: &mut View, action: Action, redial: &Notify) {
    match action {
        Action::Quit => {}
        Action::Redial => redial.notify_one(),
        Action::Pause => view.toggle_pause(),
        Action::Scroll(lines) => view.scroll = view.scroll.saturating_add_signed(lines),
    }
}

fn apply(view: &mut View, event: Event, now: Instant) {
    match event {
        Event::Dialling => view.status = Status::Connecting,
        Event::Connected => view.status = Status::Connected,
        Event::Message(message) => view.model.apply(&message, now),
        Event::Lost { failure, again } => {
            let why = failure.to_string();
            view.model.note(now, "lost", &why);
            view.status = Status::Waiting { until: now + again, why };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Failure;
    use super::super::message::Message;
    use super::*;

    #[track_caller]
    fn check(code: KeyCode, modifiers: KeyModifiers, expected: Option<Action>) {
        assert_eq!(action(KeyEvent::new(code, modifiers)), expected);
    }

    #[test]
    fn keys_have_their_meanings() {
        check(KeyCode::Char('q'), KeyModifiers::NONE, Some(Action::Quit));
        check(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Action::Quit));
        check(KeyCode::Char('c'), KeyModifiers::NONE, None);
        check(KeyCode::Char('R'), KeyModifiers::SHIFT, Some(Action::Redial));
        check(KeyCode::Char('r'), KeyModifiers::CONTROL, None);
        check(KeyCode::Char('p'), KeyModifiers::NONE, Some(Action::Pause));
        check(KeyCode::Up, KeyModifiers::NONE, Some(Action::Scroll(-1)));
        check(KeyCode::PageDown, KeyModifiers::NONE, Some(Action::Scroll(10)));
        check(KeyCode::Esc, KeyModifiers::NONE, None);
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(action(released), None);
    }

    #[test]
    fn actions_change_the_view() {
        let redial = Notify::new();
        let mut view = View::new(String::new(), Instant::now());
        obey(&mut view, Action::Scroll(3), &redial);
        obey(&mut view, Action::Scroll(-1), &redial);
        assert_eq!(view.scroll, 2);
        obey(&mut view, Action::Scroll(isize::MIN), &redial);
        assert_eq!(view.scroll, 0);
        obey(&mut view, Action::Pause, &redial);
        assert!(view.frozen.is_some());
    }

    #[test]
    fn events_change_the_status_and_the_model() {
        let now = Instant::now();
        let mut view = View::new(String::new(), now);
        apply(&mut view, Event::Connected, now);
        assert_eq!(view.status, Status::Connected);
        apply(&mut view, Event::Message(Message::text("1")), now);
        assert_eq!(view.model.messages, 1);
        let again = Duration::from_secs(3);
        apply(&mut view, Event::Lost { failure: Failure::Ended, again }, now);
        assert_eq!(view.status, Status::Waiting { until: now + again, why: "the connection ended".to_owned() });
        assert_eq!(view.model.log.len(), 1);
        apply(&mut view, Event::Dialling, now);
        assert_eq!(view.status, Status::Connecting);
    }
}
