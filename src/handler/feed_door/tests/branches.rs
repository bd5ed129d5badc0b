//! Which requests share a branch, and when there is none for another.

use http::StatusCode;

use super::{Bed, LATER};
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
            stays.push(door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&ann)).unwrap());
        }
        bed.speak().await;
        assert_eq!(bed.begun.borrow().len(), 1);
    });
}

#[test]
fn a_newcomer_for_whom_there_is_no_room_is_refused() {
    on_worker(async {
        let bed = Bed::new(1, ALL, None, Ceiling { branches: 1, bytes: 1000 });
        let door = FeedDoor::at("/p", "f", quiet());
        let enter =
            |uri: &str| door.enter(&bed.rosters[0], &uri.parse().unwrap(), Some(&credential("v", "ann", "t", LATER)));
        let _stay = enter("/p?a=1").unwrap();
        let refused = enter("/p?a=2").unwrap_err();
        assert_eq!((refused, refused.status()), (Refused::Full(Full::Branches), StatusCode::SERVICE_UNAVAILABLE));
        assert!(enter("/p?a=1").is_ok());
        let Some(Place::Split(split)) = bed.rosters[0].find("f") else { panic!("it is split") };
        assert_eq!(split.count(), 1);
    });
}
