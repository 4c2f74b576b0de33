//! Real servers that nothing checks.

use crate::conf::{Code, Diagnostic, Diagnostics};
use crate::fleet::effective::{Effective, RealServer, VirtualServer};

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    for service in &effective.virtual_servers {
        without_checker(service, diagnostics);
    }
}

fn without_checker(service: &VirtualServer, diagnostics: &mut Diagnostics) {
    let lacks = |server: &&RealServer| server.checkers.is_empty() && !server.is_doubtful;
    let mut bare = service.real_servers.iter().filter(lacks);
    let Some(first) = bare.next() else { return };
    let second = bare.next();
    let count = 1 + usize::from(second.is_some()) + bare.count();
    let total = service.real_servers.len();
    let message = if count == 1 {
        format!("nothing checks real server {}", first.label())
    } else if count == total {
        format!("nothing checks the {count} real servers of virtual server {}", service.label())
    } else {
        format!(
            "nothing checks {count} of {total} real servers of virtual server {}",
            service.label()
        )
    };
    let found = Diagnostic::new(Code::NoChecker, message)
        .at(first.header, "without a checker it counts as alive for ever");
    diagnostics.push(match second {
        Some(second) => found.also(second.header, "the next one"),
        None => found,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::testing::{Build, messages, server, service};

    #[test]
    fn a_server_without_checker_is_named_and_many_are_counted() {
        let text = |bare: usize, tcp: usize| {
            let mut build = Build::default();
            let servers = (0..bare).map(|at| server(&mut build, 10 + at as u8));
            let mut servers: Vec<_> = servers.collect();
            servers.extend((0..tcp).map(|at| {
                let mut server = server(&mut build, 100 + at as u8);
                let checker = build.tcp(&server);
                server.checkers.push(checker);
                server
            }));
            let effective = build.with(vec![service(&mut Build::default(), servers)]);
            messages(|diagnostics| check(&effective, diagnostics))
        };
        assert_eq!(text(0, 2), [""; 0]);
        assert_eq!(text(1, 1), ["W075 nothing checks real server 10.0.0.10:80"]);
        assert_eq!(
            text(2, 0),
            ["W075 nothing checks the 2 real servers of virtual server 10.0.0.1:80/tcp"]
        );
        assert_eq!(
            text(3, 1),
            ["W075 nothing checks 3 of 4 real servers of virtual server 10.0.0.1:80/tcp"]
        );
    }

    #[test]
    fn a_doubtful_server_is_not_judged() {
        let mut build = Build::default();
        let mut bare = server(&mut build, 10);
        bare.is_doubtful = true;
        let service = service(&mut build, vec![bare]);
        let effective = build.with(vec![service]);
        assert_eq!(messages(|diagnostics| check(&effective, diagnostics)), [""; 0]);
    }
}
