//! The effective configuration, told again: as JSON records, and as a keepalived.conf.
//!
//! Both carry the same. A dump of what [`conf()`] writes has the records of the first dump, but for `from`,
//! which says where values are written.

mod checks;
mod conf;
mod conf_checks;
mod globals;
mod json;
mod lines;
mod quote;
mod record;

pub use self::conf::conf;
pub use self::json::json;

#[cfg(test)]
mod tests;
