//! The options that a virtual server, a real server and a checker share, and their inheritance.

use std::time::Duration;

use super::model::Timing;
use super::value::{MICROS_MAX, Micros, Reader};
use crate::conf::{Code, Diagnostic, Directive};

/// `connect_timeout` that keepalived stores as all ones, its mark for "not set".
const CONNECT_TIMEOUT_UNSET: Micros = u32::MAX as Micros;

const DELAY_LOOP_DEFAULT: Micros = 60_000_000;
const CONNECT_TIMEOUT_DEFAULT: Micros = 5_000_000;

/// What one level says; `None` leaves it to the level above.
#[derive(Clone, Default, Debug)]
pub(super) struct Settings {
    pub(super) connect_timeout: Option<Micros>,
    pub(super) delay_loop: Option<Micros>,
    pub(super) delay_before_retry: Option<Micros>,
    pub(super) warmup: Option<Micros>,
    pub(super) retry: Option<u32>,
    pub(super) alpha: Option<bool>,
}

/// What a type of checker says where no level does.
#[derive(Copy, Clone, Debug)]
pub(super) struct Defaults {
    pub(super) retry: u32,
    /// `None`: as `delay_loop`.
    pub(super) delay_before_retry: Option<Micros>,
}

impl Settings {
    /// Takes a keyword that all levels share; false for any other. `retry_min` is 1, but 0 in a checker.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        directive: Directive<'_>,
        retry_min: u64,
    ) -> bool {
        match reader.bytes(directive.keyword()) {
            b"delay_loop" => keep(&mut self.delay_loop, reader.timer(directive, 1..=MICROS_MAX)),
            b"delay_before_retry" => {
                keep(&mut self.delay_before_retry, reader.timer(directive, 0..=MICROS_MAX));
            }
            b"warmup" => keep(&mut self.warmup, reader.timer(directive, 0..=MICROS_MAX)),
            b"retry" | b"nb_get_retry" => {
                let retry = reader.number(directive, retry_min..=u64::from(u32::MAX));
                keep(&mut self.retry, retry.map(|retry| retry as u32));
            }
            b"alpha" => keep(&mut self.alpha, reader.boolean(directive)),
            b"connect_timeout" => match reader.timer(directive, 1..=CONNECT_TIMEOUT_UNSET) {
                Some(CONNECT_TIMEOUT_UNSET) => {
                    self.connect_timeout = None;
                    reader.report(
                        Diagnostic::new(
                            Code::MeansUnset,
                            "keepalived takes this `connect_timeout` for not set",
                        )
                        .at(directive.header(), "the inherited one is used"),
                    );
                }
                timeout => keep(&mut self.connect_timeout, timeout),
            },
            _ => return false,
        }
        true
    }

    /// This level over the one around it.
    pub(super) fn over(&self, outer: &Settings) -> Settings {
        Settings {
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
            delay_loop: self.delay_loop.or(outer.delay_loop),
            delay_before_retry: self.delay_before_retry.or(outer.delay_before_retry),
            warmup: self.warmup.or(outer.warmup),
            retry: self.retry.or(outer.retry),
            alpha: self.alpha.or(outer.alpha),
        }
    }

    /// The timers of a checker, with what its type says where nothing was written.
    pub(super) fn timing(&self, defaults: Defaults) -> Timing {
        let delay_loop = self.delay_loop_micros();
        let delay_before_retry =
            self.delay_before_retry.or(defaults.delay_before_retry).unwrap_or(delay_loop);
        Timing {
            delay_loop: Duration::from_micros(delay_loop),
            delay_before_retry: Duration::from_micros(delay_before_retry),
            warmup: Duration::from_micros(self.warmup.unwrap_or(delay_loop)),
            retry: self.retry.unwrap_or(defaults.retry),
            retry_is_written: self.retry.is_some(),
            alpha: self.alpha.unwrap_or(false),
        }
    }

    /// `delay_loop`.
    pub(super) fn delay_loop(&self) -> Duration {
        Duration::from_micros(self.delay_loop_micros())
    }

    fn delay_loop_micros(&self) -> Micros {
        self.delay_loop.unwrap_or(DELAY_LOOP_DEFAULT)
    }

    /// `connect_timeout`.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_micros(self.connect_timeout.unwrap_or(CONNECT_TIMEOUT_DEFAULT))
    }
}

/// A later value replaces an earlier one; a bad one, already reported, does not.
pub(super) fn keep<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}
