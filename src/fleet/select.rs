//! A part of a fleet.

use super::model::{Fleet, ProbeSpec};
use crate::id::SpecId;

impl Fleet {
    /// Leaves only the checkers whose spec is wanted, and only the specs they use. The others are counted as
    /// not probed.
    pub fn keep(&mut self, is_wanted: impl Fn(&ProbeSpec) -> bool) {
        let wanted: Vec<bool> = self.specs.iter().map(is_wanted).collect();
        for checker in &self.checkers {
            let spec = checker.spec.index();
            if !wanted[spec] {
                *self.not_probed.entry(self.specs[spec].keyword().to_owned()).or_default() += 1;
            }
        }
        self.checkers.retain(|checker| wanted[checker.spec.index()]);
        let mut kept = 0;
        let places: Vec<u32> = wanted
            .iter()
            .map(|is_wanted| {
                let place = kept;
                kept += u32::from(*is_wanted);
                place
            })
            .collect();
        for checker in &mut self.checkers {
            checker.spec = SpecId(places[checker.spec.index()]);
        }
        let mut wanted = wanted.into_iter();
        self.specs.retain(|_| wanted.next().unwrap_or(false));
    }
}

#[cfg(test)]
mod tests {
    use crate::fleet::{LoadOptions, ProbeSpec, load_text};

    #[test]
    fn what_is_kept_keeps_its_spec() {
        let conf = "virtual_server 10.0.0.1 53 {\n lvs_sched rr\n lvs_method NAT\n protocol UDP\n \
                    real_server 10.0.0.2 53 {\n TCP_CHECK {\n connect_timeout 3\n }\n DNS_CHECK {\n \
                    connect_timeout 4\n }\n TCP_CHECK {\n connect_timeout 5\n connect_port 80\n }\n }\n}\n";
        let loaded = load_text("x.conf", conf.into(), &LoadOptions::default()).expect("good");
        let mut fleet = loaded.fleet;
        fleet.keep(|spec| matches!(spec, ProbeSpec::Tcp(_)));
        let timeouts: Vec<u64> = (fleet.checkers.iter())
            .map(|checker| fleet.specs[checker.spec.index()].timeout().as_secs())
            .collect();
        assert_eq!(timeouts, [3, 5]);
        assert_eq!((fleet.specs.len(), fleet.not_probed["DNS_CHECK"]), (2, 1));
    }
}
