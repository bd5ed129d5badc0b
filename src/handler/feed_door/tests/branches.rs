//! Which requests share a branch, and when there is none for another.

use http::StatusCode;

use super::{Bed, CLIENT, LATER};
use crate::feed::Share;
use crate::feed::branches::Ceiling;
use crate::feed::testing::{credential, on_worker, quiet};
use crate::handler::feed_door::{FeedDoor, Full, Place, Refused};

const ALL: Share = Share { path: true, query: true, subject: true };

#[test]
fn those_who_ask_for_the_same_share_it() {
    on_worker(async {
        let bed = Bed::new(1, ALL, None, Ceiling::default());
        let door = FeedDoor { is_prefix: true, ..FeedDoor::at("/p/", "f", quiet()) };
        let ann = credential("v", "ann", "t", LATER);
        let mut stays = Vec::new();
        for uri in ["/p/a?x=1&y=2&last=3", "/p/%61?y=2&x=1&ticket=z", "/p/a?fields=q&x=1&y=2"] {
            stays.push(door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&ann), CLIENT).unwrap());
        }
        bed.speak().await;
        assert_eq!(bed.begun.borrow().len(), 1);
    });
}

#[test]
fn a_newcomer_for_whom_there_is_no_room_is_refused() {
    on_worker(async {
        let bed = Bed::new(1, ALL, None, Ceiling { branches: 1, bytes: 1000, ..Ceiling::default() });
        let door = FeedDoor::at("/p", "f", quiet());
        let enter = |uri: &str| {
            door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&credential("v", "ann", "t", LATER)), CLIENT)
        };
        let _stay = enter("/p?a=1").unwrap();
        let refused = enter("/p?a=2").unwrap_err();
        assert_eq!((refused, refused.status()), (Refused::Full(Full::Branches), StatusCode::SERVICE_UNAVAILABLE));
        assert!(enter("/p?a=1").is_ok());
        let Some(Place::Split(split)) = bed.rosters[0].find("f") else { panic!("it is split") };
        assert_eq!(split.count(), 1);
    });
}

#[test]
fn one_that_has_begun_as_many_as_one_may_is_told_so_and_others_are_let_in() {
    on_worker(async {
        let share = Share { query: true, ..Share::default() };
        let bed = Bed::new(1, share, None, Ceiling { per_client: 1, ..Ceiling::default() });
        let door = FeedDoor::at("/p", "f", quiet());
        let enter = |uri: &str, subject: Option<&str>, client: &str| {
            let credential = subject.map(|subject| credential("v", subject, "t", LATER));
            door.enter(&bed.rosters[0], &uri.parse().unwrap(), credential.as_ref(), client.parse().unwrap())
        };
        // Without a token they are told apart by their address, and with one by whom it names.
        for (number, (subject, client)) in
            [(None, "192.0.2.1"), (None, "192.0.2.2"), (Some("ann"), "192.0.2.1"), (Some("bob"), "192.0.2.1")]
                .into_iter()
                .enumerate()
        {
            let _stay = enter(&format!("/p?a={number}"), subject, client).unwrap();
            let refused = enter("/p?a=more", subject, client).unwrap_err();
            let expected = (Refused::Full(Full::Client), StatusCode::TOO_MANY_REQUESTS, "branches_per_client");
            assert_eq!((refused, refused.status(), refused.reason()), expected);
        }
        assert_eq!(enter("/p?a=more", Some("ann"), "192.0.2.9").unwrap_err(), Refused::Full(Full::Client));
    });
}
