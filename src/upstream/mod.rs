//! Upstreams: pools of HTTP servers to forward or tunnel to.
//!
//! Owns: which server a request goes to, the connections to it, and what is known of its health. Never: edits a request
//! beyond the form that a connection's protocol gives it; the handler hands over what is to be sent.

mod asker;
mod asking;
mod balance;
mod connect;
mod exchange;
mod failure;
mod health;
mod http1;
mod incoming;
mod io;
mod link;
mod member;
pub mod options;
mod outgoing;
mod permit;
mod pool;
mod resolve;
mod shared;
mod standing;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use tokio::time::interval;

pub use asker::{Asker, Withheld};
pub use asking::Asking;
pub use failure::{BodyError, Failure};
pub use http1::{Broken, Hearing, Switched, Transcript, transcript};
pub use incoming::Incoming;
pub use io::Io;
pub use options::{Balance, Health, Options, Scheme, Server};
pub use permit::LoadPermit;
pub use shared::{ServerReport, Shared, Upkeep};
pub use tls::SetupError;

use crate::limits;
use crate::shutdown::Tasks;
use balance::Tried;
use exchange::{Miss, Reply};
use member::{Group, Member};
use pool::Pool;

/// One worker's upstreams, by name.
#[derive(Debug)]
pub struct Upstreams {
    all: HashMap<String, Rc<Upstream>>,
    swept: Swept,
    tasks: Tasks,
}

/// All pools of a worker that there are, also those of upstreams that another config has no more.
type Swept = Rc<RefCell<Vec<Weak<Pool>>>>;

/// One worker's connections to the servers of one upstream.
#[derive(Debug)]
pub struct Upstream {
    group: Arc<Group>,
    /// In the order of the group's members.
    pools: Vec<Rc<Pool>>,
    /// The one of its name that is in use.
    newest: Rc<RefCell<Weak<Upstream>>>,
}

/// A response, and what goes with it.
#[derive(Debug)]
pub struct Sent {
    pub response: Response<Incoming>,
    /// To be kept while the body or the tunnel lives.
    pub permit: LoadPermit,
    /// As the config writes it.
    pub server: Arc<str>,
    /// After a 101, the connection.
    pub switched: Option<Switched>,
}

impl Upstreams {
    /// No connections yet; what will be idle for long is closed in the background of this thread.
    #[must_use]
    pub fn new(shared: Arc<Shared>, tasks: Tasks) -> Upstreams {
        let swept = Swept::default();
        let sweeping = Rc::clone(&swept);
        drop(tasks.spawn_background(async move {
            let mut ticks = interval(limits::UPSTREAM_SWEEP);
            loop {
                ticks.tick().await;
                let pools: Vec<_> = sweeping.borrow().iter().filter_map(Weak::upgrade).collect();
                pools.iter().for_each(|pool| pool.sweep());
            }
        }));
        Upstreams { all: HashMap::new(), swept, tasks }.after(&shared)
    }

    /// As another config has them: connections to upstreams and servers that are still the same stay.
    #[must_use]
    pub fn after(&self, shared: &Shared) -> Upstreams {
        let upstream = |group: &Arc<Group>| {
            let before = self.all.get(&group.options.name);
            let same = before.filter(|upstream| Arc::ptr_eq(&upstream.group, group)).map(Rc::clone);
            let upstream = same.unwrap_or_else(|| Upstream::after(before, group, &self.tasks));
            (group.options.name.clone(), upstream)
        };
        let all: HashMap<_, _> = shared.groups.iter().map(upstream).collect();
        let mut swept = self.swept.borrow_mut();
        let now = all.values().flat_map(|upstream: &Rc<Upstream>| &upstream.pools);
        swept.retain(|pool| pool.strong_count() > 0);
        for pool in now {
            if !swept.iter().any(|known| std::ptr::eq(known.as_ptr(), Rc::as_ptr(pool))) {
                swept.push(Rc::downgrade(pool));
            }
        }
        drop(swept);
        Upstreams { all, swept: Rc::clone(&self.swept), tasks: self.tasks.clone() }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Rc<Upstream>> {
        self.all.get(name)
    }
}

impl Upstream {
    /// In place of `before`, whose connections to servers that it still has stay.
    fn after(before: Option<&Rc<Upstream>>, group: &Arc<Group>, tasks: &Tasks) -> Rc<Upstream> {
        let Options { connect_timeout, response_timeout, .. } = group.options;
        let times = |options: &Options| (options.connect_timeout, options.response_timeout);
        let like = before.filter(|before| times(&before.group.options) == times(&group.options));
        let pool = |member: &Arc<Member>| {
            let known = like.and_then(|before| before.pools.iter().find(|pool| Arc::ptr_eq(&pool.member, member)));
            let make = || Rc::new(Pool::new(member, connect_timeout, response_timeout, tasks.clone()));
            known.map_or_else(make, Rc::clone)
        };
        let newest = before.map(|before| Rc::clone(&before.newest)).unwrap_or_default();
        let pools = group.members.iter().map(pool).collect();
        let upstream = Rc::new(Upstream { pools, group: Arc::clone(group), newest });
        upstream.newest.replace(Rc::downgrade(&upstream));
        upstream
    }

    /// The upstream of this name as the config that is in use has it; itself where it has none.
    #[must_use]
    pub fn newest(self: &Rc<Self>) -> Rc<Upstream> {
        self.newest.borrow().upgrade().unwrap_or_else(|| Rc::clone(self))
    }

    /// How long a response's body may say nothing.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.group.options.idle_timeout
    }

    /// Sends the request on a connection kept from before, or a new one, and waits for the head of the response. The URI
    /// is path and query alone, `Host` is set, and fields that concern one connection are gone. Dropping what this gives,
    /// before or after, tells the server that nobody waits any more.
    ///
    /// # Errors
    /// If no server takes it and answers in time. It was tried on others where nothing of it had been sent, or where it
    /// is idempotent (RFC 9110, section 9.2.2) and has no body, or one of which nothing was taken yet.
    pub fn send(&self, client: IpAddr, asking: impl Into<Asking>) -> impl Future<Output = Result<Sent, Failure>> {
        self.send_for(None, client, asking.into())
    }

    /// The same, where `asker`, if there is one, is told of what comes before the answer.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub fn send_for(
        &self,
        asker: Option<&dyn Asker>,
        client: IpAddr,
        asking: Asking,
    ) -> impl Future<Output = Result<Sent, Failure>> {
        self.try_each(client, asking, async move |pool: &Rc<Pool>, asking: &mut Asking, others| {
            exchange::send(pool, asking, others, asker).await
        })
    }

    /// The same over HTTP/1.1 on a connection of its own, for an upgrade, whose fields are set: once it is answered with
    /// 101, the connection comes with the answer.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub fn upgrade(&self, client: IpAddr, asking: impl Into<Asking>) -> impl Future<Output = Result<Sent, Failure>> {
        self.upgrade_for(None, client, asking.into())
    }

    /// The same, where `asker`, if there is one, is told of what comes before the answer.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub fn upgrade_for(
        &self,
        asker: Option<&dyn Asker>,
        client: IpAddr,
        asking: Asking,
    ) -> impl Future<Output = Result<Sent, Failure>> {
        self.try_each(client, asking, async move |pool: &Rc<Pool>, asking: &mut Asking, _others| {
            // Boxed: two small pieces of memory are had sooner than one that is large.
            Box::pin(exchange::upgrade(pool, asking, asker)).await
        })
    }

    /// Has `ask` ask one server after the other, each told whether there are others.
    fn try_each(
        &self,
        client: IpAddr,
        asking: Asking,
        ask: impl AsyncFn(&Rc<Pool>, &mut Asking, bool) -> Result<Reply, Miss>,
    ) -> impl Future<Output = Result<Sent, Failure>> {
        // An asynchronous function would store its argument twice, and this one is large.
        let mut asking = asking;
        async move {
            let members = &self.group.members;
            let mut tried = Tried::default();
            let mut last = Failure::NoneHealthy;
            loop {
                let next = self.group.balancer.pick(members, client, &tried);
                let Some((index, member, pool)) =
                    next.and_then(|index| Some((index, members.get(index)?, self.pools.get(index)?)))
                else {
                    return Err(last);
                };
                tried.add(index);
                let mut permit = LoadPermit::new(member);
                match ask(pool, &mut asking, members.len() > 1).await {
                    Ok(Reply { response, stream, switched }) => {
                        member.standing.answered();
                        permit.hold(stream);
                        return Ok(Sent { response, permit, server: Arc::clone(&member.name), switched });
                    }
                    Err(Miss { failure, again }) => {
                        member.standing.failed(&failure);
                        if !again || tried.is_over() {
                            return Err(failure);
                        }
                        last = failure;
                    }
                }
            }
        }
    }
}
