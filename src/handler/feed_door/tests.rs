//! Tests of which branch a request leads to: above all that no request ever leads to another's.
//!
//! Owns: the worker and the branches that these tests ask; each of the submodules has one kind of guarantee.

mod below;
mod branches;
mod viewers;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::Rosters;
use crate::feed::branch::Forward;
use crate::feed::branches::Ceiling;
use crate::feed::hub::{Feed, FeedHub};
use crate::feed::inlet::{Bearer, Inlet, Rank};
use crate::feed::normalize::Incoming;
use crate::feed::testing::plan;
use crate::feed::{Options, Share};
use crate::limits;
use crate::shutdown::{Stages, Tasks};

/// When all tokens expire.
const LATER: i64 = 32_000_000_000;
/// Where all viewers are.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A worker's rosters, and the branches that were begun.
struct Bed {
    rosters: Vec<Rosters>,
    begun: Rc<RefCell<Vec<Arc<Feed>>>>,
}

impl Bed {
    fn new(workers: usize, share: Share, forward: Option<Forward>, ceiling: Ceiling) -> Bed {
        let tasks = Tasks::new(Stages::default());
        let (hub, starts) = FeedHub::within(ceiling, [plan(Options { share, ..Options::named("f") }, forward)]);
        let begun = Rc::new(RefCell::new(Vec::new()));
        let (list, own_tasks) = (Rc::clone(&begun), tasks.clone());
        let fill = move |feed| {
            list.borrow_mut().push(feed);
            std::future::pending()
        };
        tasks.spawn_background(async move { starts.run(own_tasks, fill).await });
        let worker = |_| {
            let scratch = Rc::new(RefCell::new(vec![0; limits::READ_SIZE].into()));
            Rc::new(crate::feed::rosters::Rosters::new(&hub, scratch, &tasks))
        };
        Bed { rosters: (0..workers).map(worker).collect(), begun }
    }

    /// Has every branch that was begun say what it asked its upstream for, and for whom.
    async fn speak(&self) -> Vec<Inlet> {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let feeds = self.begun.borrow().clone();
        let speak = |feed: &Arc<Feed>| {
            let inlet = Inlet::new(feed, Rank::Source);
            let token = match inlet.bearer() {
                Bearer::Header(token) => token.reveal().to_owned(),
                Bearer::Nothing | Bearer::Missing | Bearer::Query(..) => String::new(),
            };
            let user = format!("{:?}", feed.branch().expect("it is one").key());
            let data = serde_json::json!({ "target": inlet.target("/src?tenant=0"), "token": token, "user": user });
            inlet.publish(Incoming::Text(&format!(r#"{{"type":"t","data":{data}}}"#)), Timestamp::UNIX_EPOCH);
            inlet
        };
        let inlets = feeds.iter().map(speak).collect();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        inlets
    }
}
