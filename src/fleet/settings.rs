//! The options that a virtual server, a real server and a checker share, and their inheritance.

use std::time::Duration;

use super::effective::{Level, Setting, Timers};
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
    pub(super) connect_timeout: Option<Setting<Micros>>,
    pub(super) delay_loop: Option<Setting<Micros>>,
    pub(super) delay_before_retry: Option<Setting<Micros>>,
    pub(super) warmup: Option<Setting<Micros>>,
    pub(super) retry: Option<Setting<u32>>,
    pub(super) alpha: Option<Setting<bool>>,
}

/// What a type of checker says where no level does.
#[derive(Copy, Clone, Debug)]
pub(super) struct Defaults {
    pub(super) retry: u32,
    /// `None`: as `delay_loop`.
    pub(super) delay_before_retry: Option<Micros>,
}

impl Settings {
    /// Takes a keyword that all levels share; false for any other.
    pub(super) fn read(
        &mut self,
        reader: &mut Reader<'_>,
        directive: Directive<'_>,
        level: Level,
    ) -> bool {
        let header = directive.header();
        let timer = |value: Option<Micros>| value.map(|v| Setting::written(v, level, header));
        match reader.bytes(directive.keyword()) {
            b"delay_loop" => {
                keep(&mut self.delay_loop, timer(reader.timer(directive, 1..=MICROS_MAX)));
            }
            b"delay_before_retry" => {
                keep(&mut self.delay_before_retry, timer(reader.timer(directive, 0..=MICROS_MAX)));
            }
            b"warmup" => keep(&mut self.warmup, timer(reader.timer(directive, 0..=MICROS_MAX))),
            b"retry" | b"nb_get_retry" => {
                // Only a checker may do without a second look.
                let least = u64::from(level != Level::Checker);
                let retry = reader.number(directive, least..=u64::from(u32::MAX));
                keep(&mut self.retry, retry.map(|n| Setting::written(n as u32, level, header)));
            }
            b"alpha" => {
                let alpha = reader.boolean(directive);
                keep(&mut self.alpha, alpha.map(|is_on| Setting::written(is_on, level, header)));
            }
            b"connect_timeout" => match reader.timer(directive, 1..=CONNECT_TIMEOUT_UNSET) {
                Some(CONNECT_TIMEOUT_UNSET) => {
                    self.connect_timeout = None;
                    reader.report(
                        Diagnostic::new(
                            Code::MeansUnset,
                            "keepalived takes this `connect_timeout` for not set",
                        )
                        .at(header, "the inherited one is used"),
                    );
                }
                timeout => keep(&mut self.connect_timeout, timer(timeout)),
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
        let timers = self.timers(defaults);
        Timing {
            delay_loop: timers.delay_loop.value,
            delay_before_retry: timers.delay_before_retry.value,
            warmup: timers.warmup.value,
            retry: timers.retry.value,
            retry_is_written: timers.retry.origin.is_written(),
            alpha: self.alpha().value,
        }
    }

    /// The same, each with the place that says so.
    pub(super) fn timers(&self, defaults: Defaults) -> Timers {
        let delay_loop = self.delay_loop();
        Timers {
            delay_loop,
            delay_before_retry: match (self.delay_before_retry, defaults.delay_before_retry) {
                (Some(written), _) => written.map(Duration::from_micros),
                (None, Some(default)) => Setting::default_of(Duration::from_micros(default)),
                (None, None) => delay_loop,
            },
            warmup: self.warmup.map_or(delay_loop, |written| written.map(Duration::from_micros)),
            retry: self.retry.unwrap_or(Setting::default_of(defaults.retry)),
        }
    }

    /// `delay_loop`.
    pub(super) fn delay_loop(&self) -> Setting<Duration> {
        self.delay_loop
            .unwrap_or(Setting::default_of(DELAY_LOOP_DEFAULT))
            .map(Duration::from_micros)
    }

    /// `connect_timeout`.
    pub(super) fn connect_timeout(&self) -> Setting<Duration> {
        self.connect_timeout
            .unwrap_or(Setting::default_of(CONNECT_TIMEOUT_DEFAULT))
            .map(Duration::from_micros)
    }

    /// `alpha`.
    pub(super) fn alpha(&self) -> Setting<bool> {
        self.alpha.unwrap_or_default()
    }

    /// `delay_before_retry`, where a level says so.
    pub(super) fn delay_before_retry(&self) -> Setting<Option<Duration>> {
        optional(self.delay_before_retry).map(|micros| micros.map(Duration::from_micros))
    }

    /// `warmup`, where a level says so.
    pub(super) fn warmup(&self) -> Setting<Option<Duration>> {
        optional(self.warmup).map(|micros| micros.map(Duration::from_micros))
    }

    /// `retry`, where a level says so.
    pub(super) fn retry(&self) -> Setting<Option<u32>> {
        optional(self.retry)
    }
}

/// A value that may be written nowhere.
pub(super) fn optional<T>(setting: Option<Setting<T>>) -> Setting<Option<T>> {
    match setting {
        Some(setting) => setting.map(Some),
        None => Setting::default_of(None),
    }
}

/// A later value replaces an earlier one; a bad one, already reported, does not.
pub(super) fn keep<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}
