//! A quorum that is never reached.

use crate::conf::{Code, Diagnostic, Diagnostics};
use crate::fleet::effective::{Check, Effective, RealServer, VirtualServer};

pub(super) fn check(effective: &Effective, diagnostics: &mut Diagnostics) {
    for service in &effective.virtual_servers {
        let can_judge = !service.real_servers.is_empty()
            && !service.real_servers.iter().any(|server| server.is_doubtful || is_dynamic(server));
        if can_judge {
            judge(service, diagnostics);
        }
    }
}

/// Whether a checker may change the weight of its server.
fn is_dynamic(server: &RealServer) -> bool {
    server.checkers.iter().any(|checker| match &checker.check {
        Check::Misc(misc) => misc.dynamic.value,
        Check::File(file) => file.weight.value != 0,
        _ => false,
    })
}

fn judge(service: &VirtualServer, diagnostics: &mut Diagnostics) {
    let weights = service.real_servers.iter().map(|server| u64::from(server.weight.value));
    let sum: u64 = weights.sum();
    let (quorum, hysteresis) = (service.quorum.value, service.hysteresis.value);
    let needed = u64::from(quorum) + u64::from(hysteresis);
    // That no server has a weight was said when the quorum was settled.
    if sum >= needed || sum == 0 {
        return;
    }
    let message = format!(
        "the quorum of virtual server {} is never reached: quorum {quorum} and hysteresis \
         {hysteresis} need {needed}, all real servers weigh {sum}",
        service.label()
    );
    let (quorum_at, hysteresis_at) =
        (service.quorum.origin.span(), service.hysteresis.origin.span());
    let found = Diagnostic::new(Code::QuorumUnreachable, message);
    diagnostics.push(match (hysteresis_at, quorum_at) {
        (Some(hysteresis_at), Some(quorum_at)) => {
            found.at(hysteresis_at, "gained at the sum of both").also(quorum_at, "")
        }
        (Some(place), None) | (None, Some(place)) => found.at(place, "too much"),
        (None, None) => found.at(service.header, ""),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::effective::{Level, Setting};
    use crate::lint::testing::{Build, messages, server, service};

    fn said(weights: &[u32], quorum: u32, hysteresis: u32) -> Vec<String> {
        let mut build = Build::default();
        let servers = weights.iter().enumerate().map(|(at, weight)| {
            let mut server = server(&mut build, 10 + at as u8);
            server.weight = Setting::default_of(*weight);
            server
        });
        let servers = servers.collect();
        let mut service = service(&mut build, servers);
        service.quorum = build.written(Level::VirtualServer, quorum);
        service.hysteresis = build.written(Level::VirtualServer, hysteresis);
        let effective = build.with(vec![service]);
        messages(|diagnostics| check(&effective, diagnostics))
    }

    #[test]
    fn the_sum_of_weights_must_reach_quorum_plus_hysteresis() {
        for (weights, quorum, hysteresis, is_reached) in [
            (&[1, 1][..], 1, 0, true),
            (&[1, 1], 2, 0, true),
            (&[2, 2], 4, 3, false),
            (&[2, 2], 3, 1, true),
            (&[2, 2], 3, 2, false),
            (&[0, 1], 1, 0, true),
            (&[u32::MAX, u32::MAX], u32::MAX, u32::MAX - 1, true),
        ] {
            assert_eq!(said(weights, quorum, hysteresis).is_empty(), is_reached, "{weights:?}");
        }
    }

    #[test]
    fn the_message_has_the_numbers() {
        assert_eq!(
            said(&[2, 2], 4, 3),
            ["W077 the quorum of virtual server 10.0.0.1:80/tcp is never reached: quorum 4 and \
              hysteresis 3 need 7, all real servers weigh 4"]
        );
    }
}
