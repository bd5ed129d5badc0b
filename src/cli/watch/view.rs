//! The picture: what is known, drawn as a header, a table with sparklines, a log and a line of keys.
//!
//! Never: reads a clock, a keyboard or a terminal; it draws into the frame it is given.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row as TableRow, Table};
use tokio::time::Instant;

use super::figures::{age, figure, sparkline};
use super::lines::seconds;
use super::model::{Group, Model, Row};
use crate::limits;

/// Columns of a figure: nine characters, and a sign's worth of air.
const FIGURE: u16 = 9;
/// Lines of the log, and its title.
const LOG: u16 = 7;

/// What the person sees, and has asked for.
#[derive(Debug)]
pub struct View {
    /// What is watched.
    pub title: String,
    pub status: Status,
    pub model: Model,
    /// The model at the moment the picture was stopped.
    pub frozen: Option<Box<Model>>,
    /// Lines of the table that are above its window.
    pub scroll: usize,
}

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Connecting,
    Connected,
    /// Not connected, for this reason, and dialled again then.
    Waiting {
        until: Instant,
        why: String,
    },
}

/// One line of the table.
enum Item<'a> {
    Group(&'a Group),
    Row(&'a Row),
}

impl View {
    /// Nothing received yet.
    #[must_use]
    pub fn new(title: String, now: Instant) -> View {
        View { title, status: Status::Connecting, model: Model::new(now), frozen: None, scroll: 0 }
    }

    /// Stops the picture, or lets it run again; what comes meanwhile is counted and kept.
    pub fn toggle_pause(&mut self) {
        self.frozen = if self.frozen.is_some() { None } else { Some(Box::new(self.model.clone())) };
    }
}

/// Draws the view as it is at `now`. Gives how far it can be scrolled.
pub fn draw(frame: &mut Frame<'_>, view: &View, now: Instant) -> usize {
    let model = view.frozen.as_deref().unwrap_or(&view.model);
    let log_height = if model.log.is_empty() || frame.area().height < 3 * LOG { 0 } else { LOG };
    let heights = [Constraint::Length(3), Constraint::Min(0), Constraint::Length(log_height), Constraint::Length(1)];
    let [top, middle, log, bottom] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(header(view, now), top);
    let furthest = draw_table(frame, model, view.scroll, middle);
    if log_height > 0 {
        frame.render_widget(log_lines(model, now), log);
    }
    frame.render_widget(keys(model), bottom);
    furthest
}

fn header<'a>(view: &'a View, now: Instant) -> Paragraph<'a> {
    let (sign, status) = match &view.status {
        Status::Connecting => ("○".yellow(), "connecting".to_owned()),
        Status::Connected => ("●".green(), "connected".to_owned()),
        Status::Waiting { until, why } => {
            let left = seconds(until.saturating_duration_since(now));
            ("○".red(), format!("reconnecting in {left}: {why}"))
        }
    };
    let mut state = vec![sign, " ".into(), status.into()];
    if let Some(upstream) = view.model.upstream.as_ref().filter(|upstream| *upstream != "live") {
        state.push(format!("   upstream {upstream}").yellow());
    }
    if view.frozen.is_some() {
        state.push("   paused".yellow().bold());
    }
    let messages = view.model.messages;
    let noun = if messages == 1 { "message" } else { "messages" };
    let mut counts = format!("{messages} {noun}, {:.1}/s", view.model.rate.per_second(now));
    if let Some(last) = view.model.last {
        counts += &format!(", last {} ago", age(now.saturating_duration_since(last)));
    }
    Paragraph::new(vec![Line::from(view.title.as_str()).bold(), Line::from(state), Line::from(counts).dim()])
}

fn draw_table(frame: &mut Frame<'_>, model: &Model, scroll: usize, area: Rect) -> usize {
    let items: Vec<Item<'_>> = model
        .groups
        .iter()
        .filter(|group| !group.rows.is_empty())
        .flat_map(|group| std::iter::once(Item::Group(group)).chain(group.rows.iter().map(Item::Row)))
        .collect();
    let window = usize::from(area.height.saturating_sub(1));
    let furthest = items.len().saturating_sub(window);
    if items.is_empty() {
        frame.render_widget(Paragraph::new("no numbers yet").dim(), area);
        return 0;
    }
    let columns = Columns::fitting(area.width, &items);
    let shown = items.iter().skip(scroll.min(furthest)).take(window);
    let table = Table::new(shown.map(|item| columns.row(item)), columns.widths()).header(columns.header());
    frame.render_widget(table, area);
    furthest
}

/// Which columns there is room for.
struct Columns {
    name: u16,
    bounds: bool,
    points: u16,
}

impl Columns {
    fn fitting(width: u16, items: &[Item<'_>]) -> Columns {
        let longest = items.iter().map(|item| item.name().chars().count()).max().unwrap_or(0);
        let name = u16::try_from(longest).unwrap_or(u16::MAX).clamp(8, (width * 2 / 5).max(8));
        let bounds = width >= 60;
        let figures = if bounds { 3 * (FIGURE + 1) } else { FIGURE + 1 };
        let most = u16::try_from(limits::WATCH_POINTS).unwrap_or(u16::MAX);
        Columns { name, bounds, points: width.saturating_sub(name + figures + 1).min(most) }
    }

    fn widths(&self) -> Vec<Constraint> {
        let figures = if self.bounds { 3 } else { 1 };
        let mut widths = vec![Constraint::Length(self.name)];
        widths.extend(std::iter::repeat_n(Constraint::Length(FIGURE), figures));
        widths.push(Constraint::Length(self.points));
        widths
    }

    fn header(&self) -> TableRow<'static> {
        let right = |text: &'static str| Line::from(text).right_aligned();
        let mut cells = vec![Line::from(""), right("now")];
        if self.bounds {
            cells.extend([right("min"), right("max")]);
        }
        cells.push(Line::from(format!("last {}", limits::WATCH_POINTS)));
        TableRow::new(cells).style(Style::new().dim())
    }

    fn row(&self, item: &Item<'_>) -> TableRow<'static> {
        let name = Line::from(shortened(&item.name(), usize::from(self.name)));
        let row = match item {
            Item::Group(_) => return TableRow::new([name]).style(Style::new().bold()),
            Item::Row(row) => row,
        };
        let right = |value: f64| Line::from(figure(value)).right_aligned();
        let mut cells = vec![name, right(row.now).bold()];
        if self.bounds {
            cells.extend([right(row.min).dim(), right(row.max).dim()]);
        }
        cells.push(Line::from(sparkline(row.points.iter().copied(), usize::from(self.points))).cyan());
        TableRow::new(cells)
    }
}

impl Item<'_> {
    fn name(&self) -> String {
        match self {
            Item::Group(Group { kind, host: Some(host), .. }) => format!("{kind} · {host}"),
            Item::Group(Group { kind, host: None, .. }) => kind.clone(),
            Item::Row(Row { pointer, .. }) if pointer.is_empty() => "  (itself)".to_owned(),
            Item::Row(Row { pointer, .. }) => format!("  {}", super::message::visible(pointer)),
        }
    }
}

/// The end of a long name says more than its beginning.
fn shortened(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let kept: String = name.chars().skip(length - width.saturating_sub(1)).collect();
    format!("…{kept}")
}

fn log_lines(model: &Model, now: Instant) -> Paragraph<'_> {
    let mut lines = vec![Line::from("events").dim()];
    let newest = model.log.len().saturating_sub(usize::from(LOG - 1));
    lines.extend(model.log.iter().skip(newest).map(|line| {
        let ago = format!("{:>7} ago  ", age(now.saturating_duration_since(line.at)));
        Line::from(vec![ago.dim(), Span::from(line.kind.as_str()).bold(), "  ".into(), line.text.as_str().into()])
    }));
    Paragraph::new(lines)
}

fn keys(model: &Model) -> Paragraph<'static> {
    let left_out = match model.left_out {
        0 => String::new(),
        count => format!("   {count} more values than the table holds"),
    };
    Paragraph::new(format!("q quit  r reconnect now  p pause  ↑↓ scroll{left_out}")).dim()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::message::Message;
    use super::*;

    const STATS: &str = r#"{"type":"stats","data":{"host":"web-1","cpu":12.5,"memory":{"percent":40}}}"#;

    fn picture(view: &View, now: Instant, width: u16, height: u16) -> (String, usize) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut furthest = 0;
        terminal.draw(|frame| furthest = draw(frame, view, now)).unwrap();
        let lines = terminal.backend().to_string();
        let lines = lines.lines().map(|line| line.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n");
        (lines, furthest)
    }

    fn view(messages: &[&str]) -> (View, Instant) {
        let start = Instant::now();
        let mut view = View::new("ws://h/ws".to_owned(), start);
        view.status = Status::Connected;
        for message in messages {
            view.model.apply(&Message::text(*message), start);
        }
        (view, start + Duration::from_secs(2))
    }

    #[track_caller]
    fn check((view, now): &(View, Instant), size: (u16, u16), expected: &str) {
        assert_eq!(picture(view, *now, size.0, size.1).0.trim_end(), expected.trim_matches('\n'));
    }

    #[test]
    fn numbers_are_a_table_with_sparklines() {
        let second = STATS.replace("12.5", "80").replace("40", "39");
        check(
            &view(&[STATS, &second]),
            (72, 8),
            "
ws://h/ws
● connected
2 messages, 1.0/s, last 2.0 s ago
                        now       min       max last 60
stats · web-1
  /cpu                   80      12.5        80 ▁█
  /memory/percent        39        39        40 █▁
q quit  r reconnect now  p pause  ↑↓ scroll",
        );
    }

    #[test]
    fn a_narrow_terminal_loses_the_bounds_first() {
        check(
            &view(&[STATS]),
            (40, 8),
            "
ws://h/ws
● connected
1 message, 0.5/s, last 2.0 s ago
                       now last 60
stats · web-1
  /cpu                12.5 ▁
…/memory/percent        40 ▁
q quit  r reconnect now  p pause  ↑↓ scr",
        );
    }

    #[test]
    fn events_are_a_log_under_the_table() {
        let (text, _) = {
            let (view, now) = view(&[STATS, r#"{"type":"alert","data":{"rule":"cpu"}}"#, "plain text"]);
            picture(&view, now, 72, 24)
        };
        assert!(
            text.contains("events\n  2.0 s ago  alert  {\"rule\":\"cpu\"}\n  2.0 s ago  message  plain text"),
            "{text}"
        );
    }

    #[test]
    fn the_header_tells_how_the_connection_is() {
        let (mut view, now) = view(&[r#"{"type":"keepalive","data":null,"upstream":"stale"}"#]);
        assert!(picture(&view, now, 72, 8).0.contains("● connected   upstream stale\n"));
        view.status = Status::Connecting;
        assert!(picture(&view, now, 72, 8).0.contains("○ connecting"));
        view.status = Status::Waiting { until: now + Duration::from_millis(3210), why: "it ended".to_owned() };
        assert!(picture(&view, now, 72, 8).0.contains("○ reconnecting in 3.2 s: it ended"));
        assert!(picture(&view, now, 72, 8).0.contains("no numbers yet"));
    }

    #[test]
    fn a_long_table_is_scrolled_and_never_past_its_end() {
        let (mut view, now) = view(&["[10,11,12,13,14,15]"]);
        // Three lines are left for a group and six rows.
        assert_eq!(picture(&view, now, 60, 8).1, 4);
        view.scroll = 2;
        let (text, _) = picture(&view, now, 60, 8);
        assert!(
            text.contains("/1 ") && text.contains("/3 ") && !text.contains("/0 ") && !text.contains("/4 "),
            "{text}"
        );
        view.scroll = 99;
        assert!(picture(&view, now, 60, 8).0.contains("/5 "));
    }

    #[test]
    fn a_paused_picture_stands_still_while_messages_are_counted() {
        let (mut view, now) = view(&[STATS]);
        view.toggle_pause();
        view.model.apply(&Message::text(STATS.replace("12.5", "99")), now);
        let (text, _) = picture(&view, now, 72, 8);
        assert!(text.contains("paused") && text.contains("2 messages") && !text.contains("99"), "{text}");
        view.toggle_pause();
        assert!(picture(&view, now, 72, 8).0.contains("99"));
    }

    #[test]
    fn no_size_is_too_small() {
        let (view, now) = view(&[STATS, "text", "[1,2,3]"]);
        for (width, height) in [(1, 1), (3, 2), (8, 4), (20, 5), (200, 1), (1, 60)] {
            picture(&view, now, width, height);
        }
    }
}
