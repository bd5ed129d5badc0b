//! Who may ask for a route: `allow`, `deny`, `forward_token`, and origins beside cookies.

use std::mem::take;

use ipnet::IpNet;

use super::auth::Auth;
use super::cut;
use crate::config::field::{Field, List, Table};
use crate::config::file::RouteFile;
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::values::Parsed;
use crate::guard::{ForwardToken, OriginRule};
use crate::limits;

type Networks = Field<List<Parsed<IpNet>>>;

/// `allow` and `deny`.
pub(super) fn networks(allow: Networks, deny: Networks, problems: &mut Problems) -> (Vec<IpNet>, Vec<IpNet>) {
    if let Field::Given(span, List(items)) = &allow
        && items.is_empty()
    {
        let what = "this list is empty: nobody could ask";
        problems.error(span.clone(), Wrong::new(what, "write [\"10.0.0.0/8\"], or remove it to let all in"));
    }
    let mut read = |list: Networks| {
        let mut items = list.items(problems);
        cut(&mut items, limits::ROUTE_NETWORKS, "networks", |item| item.span().unwrap_or_default(), problems);
        items.into_iter().filter_map(|item| item.value(problems)).map(|Parsed(network)| network).collect()
    };
    (read(allow), read(deny))
}

/// `forward_token` of the route, or of its session.
pub(super) fn forward_token(file: &mut RouteFile, problems: &mut Problems) -> Option<ForwardToken> {
    let of_session = match &mut file.session {
        Field::Given(_, Table(session)) => take(&mut session.forward_token),
        Field::Absent | Field::Broken(..) => Field::Absent,
    };
    let of_route = take(&mut file.forward_token);
    if let (Some(route), Some(session)) = (of_route.span(), of_session.span()) {
        let later = if route.start > session.start { route } else { session };
        let what = "`forward_token` stands in the route and in its session";
        problems.error(later, Wrong::new(what, "keep one of them"));
    }
    let tokens = [of_route.read(problems), of_session.read(problems)];
    let (span, Parsed(token)) = tokens.into_iter().flatten().next()?;
    if file.auth.is_absent() && !file.proxy.is_absent() {
        let what = "there is no token to pass on: this route asks for none";
        problems.absent(span, Wrong::new(what, "add auth = \"...\", or remove `forward_token`"));
    }
    Some(token)
}

/// Says where every page there is may act as whoever looks at it: where cookies are what lets in, ours or, with `theirs`,
/// those of the application that is asked, which asks for no more.
pub(super) fn check_origins(
    origins: &[OriginRule],
    place: Option<Span>,
    auth: Option<&Auth>,
    theirs: bool,
    problems: &mut Problems,
) {
    let Some(place) = place.filter(|_| origins.contains(&OriginRule::Any)) else { return };
    if let Some(auth) = auth.filter(|auth| auth.takes_cookies()) {
        let name = quoted(&auth.options.name);
        let what = format!("with \"*\" every page there is could act as whoever looks at it: {name} takes cookies");
        problems.warning(place, Wrong::new(what, "name the origins, or take the cookie out of its `from`"));
    } else if theirs {
        let what =
            "with \"*\" every page there is may open the application's sockets with the cookies of whoever looks at it";
        problems.warning(place, Wrong::new(what, "name the origins, or ask for a token: auth = \"...\""));
    }
}
